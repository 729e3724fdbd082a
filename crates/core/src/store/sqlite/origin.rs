//! Whether a file that is no database was an outbox once: a damaged one is set aside and replaced, somebody else's is left alone.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::path::Path;

use super::companion::{companion, open_beside};
use super::schema::APPLICATION_ID;
use super::trouble::{Fault, Result};
use crate::error::Trouble;

const MAGIC: &[u8] = b"SQLite format 3\0";
const APPLICATION_ID_AT: usize = 68;
/// What a write-ahead log begins with; its last bit says how the rest is to be read.
const LOG_MAGIC: u32 = 0x377F_0682;
const JOURNAL_MAGIC: &[u8] = &[0xD9, 0xD5, 0x05, 0xF9, 0x20, 0xA1, 0x63, 0xD7];
const PAGE: usize = 4_096;
/// The tables begin on the first few pages: where all of these are gone, nothing can be found any more.
const PAGES_LOOKED_AT: u64 = 256;

/// Refuses a file that never was a database of anybody's.
///
/// A damaged outbox has one of these left, in all likelihood: the beginning of SQLite's header, our mark in it, a page of a
/// table where a page begins, a log or journal of SQLite's beside it. Or it has nothing left at all: a crash can leave zeros.
/// A text, a picture, an archive have none of them.
pub(super) fn check(path: &Path) -> Result<()> {
    let mut file = File::open(path)?.take(PAGES_LOOKED_AT * PAGE as u64);
    let mut bytes = Vec::new();
    // Of most files this is all that has to be read.
    file.by_ref().take(PAGE as u64).read_to_end(&mut bytes)?;
    if has_header(&bytes) || has_log(path) {
        return Ok(());
    }
    file.read_to_end(&mut bytes)?;
    if bytes.chunks(PAGE).any(is_tree_page) || bytes.iter().all(|byte| *byte == 0) {
        return Ok(());
    }
    Err(Fault::new(Trouble::Mismatch, "is not an outbox, and no database either"))
}

fn has_log(path: &Path) -> bool {
    let begins = |suffix: &str| {
        let mut bytes = [0; 8];
        let file = open_beside(&companion(path, suffix), OpenOptions::new().read(true));
        let read = file.and_then(|mut file| file.read_exact(&mut bytes));
        read.is_ok().then_some(bytes)
    };
    let is_log = |bytes: [u8; 8]| bytes.first_chunk().is_some_and(|magic| u32::from_be_bytes(*magic) & !1 == LOG_MAGIC);
    begins("-wal").is_some_and(is_log) || begins("-journal").is_some_and(|bytes| bytes == JOURNAL_MAGIC)
}

fn has_header(bytes: &[u8]) -> bool {
    let begun = bytes.len().min(MAGIC.len());
    let ours = APPLICATION_ID.to_be_bytes();
    bytes[..begun] == MAGIC[..begun] || bytes.get(APPLICATION_ID_AT..APPLICATION_ID_AT + ours.len()) == Some(&ours)
}

/// Whether a page has the header of a table or an index, and its cells are where that says.
fn is_tree_page(page: &[u8]) -> bool {
    let number =
        |at: usize| page.get(at..at + 2).map_or(0, |bytes| usize::from(u16::from_be_bytes([bytes[0], bytes[1]])));
    let header = match page.first() {
        Some(2 | 5) => 12,
        Some(10 | 13) => 8,
        _ => return false,
    };
    let (cells, content) = (number(3), number(5));
    let fits = |at: usize| (content..PAGE).contains(&at);
    page.len() == PAGE
        && content <= PAGE
        && header + 2 * cells <= content
        && (0..cells).all(|cell| fits(number(header + 2 * cell)))
}
