//! The pages of a damaged file, read without SQLite.
//!
//! SQLite reports a failed read as damage (`SQLITE_CORRUPT`) and fills a short one with zeros. Here a read that fails,
//! or returns less than the file's size promises, is an error of its own and never damage: the salvage stops, and is
//! tried again later. The write-ahead log counts as SQLite counts it: frames up to the last commit before the first
//! broken checksum.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use crate::store::Pulse;
use crate::store::file::companion::open_beside;
use crate::store::file::fault::{Fault, Result};
use crate::store::file::options::{Options, ReadAt};

pub(super) const PAGE: usize = 4_096;
const LOG_HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
/// The last bit says that checksums are big-endian.
const LOG_MAGIC: u32 = 0x377F_0682;
/// Bytes of one read when a file is read from end to end.
const CHUNK: usize = 1 << 18;

/// One page.
pub(super) type Page = Box<[u8; PAGE]>;

/// A file and its log as of the last commit.
pub(super) struct Image {
    file: Bytes,
    log: Option<Bytes>,
    /// Where the log has the newest content of a page.
    frames: HashMap<u32, u64>,
    /// Pages that the file should have.
    pages: u32,
    /// The log holds frames that can't be verified.
    lacks_log: bool,
}

/// A file of which all bytes can be read, or none is believed.
struct Bytes {
    file: File,
    length: u64,
    read_at: ReadAt,
    pulse: Pulse,
}

impl Bytes {
    fn open(path: &Path, options: &Options) -> Result<Self> {
        let file = open_beside(path, OpenOptions::new().read(true)).map_err(Fault::unread)?;
        let length = file.metadata().map_err(Fault::unread)?.len();
        Ok(Self { file, length, read_at: options.read_at, pulse: options.pulse.clone() })
    }

    /// Fills `bytes` from `offset` on; all of them lie before the end of the file.
    fn read(&self, bytes: &mut [u8], offset: u64) -> Result<()> {
        debug_assert!(offset + bytes.len() as u64 <= self.length);
        self.pulse.beat();
        let mut filled = 0;
        while filled < bytes.len() {
            match (self.read_at)(&self.file, &mut bytes[filled..], offset + filled as u64) {
                Ok(0) => return Err(Fault::unread(io::ErrorKind::UnexpectedEof.into())),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Fault::unread(error)),
            }
        }
        Ok(())
    }

    /// The checksum of everything.
    fn sum(&self) -> Result<u32> {
        let (mut sum, mut buffer, mut offset) = (crc32fast::Hasher::new(), vec![0; CHUNK], 0);
        while offset < self.length {
            let count = usize::try_from(self.length - offset).unwrap_or(CHUNK).min(CHUNK);
            self.read(&mut buffer[..count], offset)?;
            sum.update(&buffer[..count]);
            offset += count as u64;
        }
        Ok(sum.finalize())
    }
}

/// The checksum and the length of a file and its log, each read to its end: equal when nothing has changed between two
/// readings.
pub(in crate::store::file) fn fingerprint(path: &Path, log: &Path, options: &Options) -> Result<String> {
    let mut text = String::new();
    for path in [path, log] {
        // An empty log is as good as none: looking at a file makes one.
        let (length, sum) = match Bytes::open(path, options) {
            Ok(bytes) => (bytes.length, bytes.sum()?),
            Err(_) if !path.exists() => (0, 0),
            Err(fault) => return Err(fault),
        };
        text.push_str(&format!("{length}:{sum:08x} "));
    }
    Ok(text)
}

impl Image {
    pub(super) fn open(path: &Path, log: &Path, options: &Options) -> Result<Self> {
        let file = Bytes::open(path, options)?;
        let log = if log.exists() { Some(Bytes::open(log, options)?) } else { None };
        let pages = u32::try_from(file.length.div_ceil(PAGE as u64)).unwrap_or(u32::MAX);
        let mut image = Self { file, log, frames: HashMap::new(), pages, lacks_log: false };
        let logged = image.read_log()?;
        image.pages = match logged {
            Some(pages) => pages,
            None => image.pages.max(image.written_pages()?),
        };
        Ok(image)
    }

    /// The number of pages, counted from 1, those among them that the file has lost included.
    pub(super) fn pages(&self) -> u32 {
        self.pages
    }

    pub(super) fn lacks_log(&self) -> bool {
        self.lacks_log
    }

    /// A page; `None` when the file ends before it. What a cut page lacks is zeros.
    pub(super) fn page(&self, number: u32) -> Result<Option<Page>> {
        let mut page = Box::new([0; PAGE]);
        if let (Some(offset), Some(log)) = (self.frames.get(&number), &self.log) {
            log.read(&mut *page, *offset)?;
            return Ok(Some(page));
        }
        let offset = u64::from(number.saturating_sub(1)) * PAGE as u64;
        if number == 0 || number > self.pages || offset >= self.file.length {
            return Ok(None);
        }
        let there = usize::try_from(self.file.length - offset).unwrap_or(PAGE).min(PAGE);
        self.file.read(&mut page[..there], offset)?;
        Ok(Some(page))
    }

    /// The number of pages by the file's header, where that can be believed: a file that was cut off has lost the
    /// others.
    fn written_pages(&self) -> Result<u32> {
        let Some(page) = self.page(1)? else { return Ok(0) };
        let is_valid = has_header(&page) && page[24..28] == page[92..96];
        // More than a file twice as long has is a damaged number.
        let limit = self.pages.saturating_mul(2).saturating_add(1_024);
        Ok(Some(number_at(&*page, 28)).filter(|pages| is_valid && *pages <= limit).unwrap_or(0))
    }

    /// Finds the committed frames; the number of pages after the last commit, if there is one.
    fn read_log(&mut self) -> Result<Option<u32>> {
        let Some(log) = self.log.take() else { return Ok(None) };
        let outcome = self.read_frames(&log);
        self.log = Some(log);
        outcome
    }

    fn read_frames(&mut self, log: &Bytes) -> Result<Option<u32>> {
        let mut header = [0; LOG_HEADER];
        if log.length < LOG_HEADER as u64 {
            self.lacks_log = log.length > 0;
            return Ok(None);
        }
        log.read(&mut header, 0)?;
        let is_big_endian = number_at(&header, 0) == LOG_MAGIC | 1;
        let mut sum = Sum { is_big_endian, values: (0, 0) };
        sum.add(&header[..24]);
        let is_log = number_at(&header, 0) & !1 == LOG_MAGIC && number_at(&header, 8) == PAGE as u32;
        if !is_log || sum.values != (number_at(&header, 24), number_at(&header, 28)) {
            // A log that begins with zeros has never been written.
            self.lacks_log = header.iter().any(|byte| *byte != 0);
            return Ok(None);
        }
        let (mut pending, mut pages, mut offset) = (Vec::new(), None, LOG_HEADER as u64);
        let mut frame = vec![0; FRAME_HEADER + PAGE];
        while offset + frame.len() as u64 <= log.length {
            log.read(&mut frame, offset)?;
            if frame[8..16] != header[16..24] {
                // What an earlier round of the log has left.
                break;
            }
            sum.add(&frame[..8]);
            sum.add(&frame[FRAME_HEADER..]);
            if sum.values != (number_at(&frame, 16), number_at(&frame, 20)) {
                self.lacks_log = true;
                break;
            }
            pending.push((number_at(&frame, 0), offset + FRAME_HEADER as u64));
            let size = number_at(&frame, 4);
            if size > 0 {
                self.frames.extend(pending.drain(..));
                pages = Some(size);
            }
            offset += frame.len() as u64;
        }
        Ok(pages)
    }
}

/// The running checksum of a log.
struct Sum {
    is_big_endian: bool,
    values: (u32, u32),
}

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        let word = |bytes: &[u8]| {
            let bytes = [bytes[0], bytes[1], bytes[2], bytes[3]];
            if self.is_big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
        };
        let (mut one, mut two) = self.values;
        for pair in bytes.chunks_exact(8) {
            one = one.wrapping_add(word(&pair[..4])).wrapping_add(two);
            two = two.wrapping_add(word(&pair[4..])).wrapping_add(one);
        }
        self.values = (one, two);
    }
}

/// Whether the first page says that it is one.
pub(super) fn has_header(page: &[u8; PAGE]) -> bool {
    page[..16] == *b"SQLite format 3\0"
}

/// The big-endian number at `at`; 0 when the bytes end before it.
pub(super) fn number_at(bytes: &[u8], at: usize) -> u32 {
    let bytes = bytes.get(at..at + 4).and_then(|bytes| bytes.first_chunk());
    bytes.map_or(0, |bytes| u32::from_be_bytes(*bytes))
}
