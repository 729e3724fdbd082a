//! B-tree pages and the records in their cells, after SQLite's file format (<https://www.sqlite.org/fileformat2.html>).

use rusqlite::types::Value;

use super::image::{Image, PAGE, Page, number_at};
use crate::store::file::fault::Result;

const LEAF: u8 = 13;
const INTERIOR: u8 = 5;
const INDEX_LEAF: u8 = 10;
const INDEX_INTERIOR: u8 = 2;
/// A cell takes at least four bytes of its page, and two of the list of cells.
const CELLS_MAX: usize = PAGE / 6;
/// What a cell keeps on its page of a payload that continues elsewhere, and of one that doesn't.
const LOCAL_MIN: usize = (PAGE - 12) * 32 / 255 - 23;
const LOCAL_MAX: usize = PAGE - 35;
const INDEX_LOCAL_MAX: usize = (PAGE - 12) * 64 / 255 - 23;
/// Bytes of a continued payload on each further page.
const OVERFLOW: usize = PAGE - 4;
/// More than any row of ours has: a body of 8 MiB and what belongs to it.
const PAYLOAD_MAX: u64 = 64 << 20;
const COLUMNS_MAX: usize = 64;

/// What a page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Leaf,
    Interior,
    IndexLeaf,
    IndexInterior,
}

/// A page of a tree.
pub(super) struct Node {
    page: Page,
    pub(super) kind: Kind,
    cells: usize,
}

/// The row of a table, as the file has it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) key: i64,
    pub(super) values: Vec<Value>,
}

impl Node {
    /// The page as one of a tree; `None` when its header makes no sense.
    pub(super) fn of(page: Page) -> Option<Self> {
        let kind = match page[0] {
            LEAF => Kind::Leaf,
            INTERIOR => Kind::Interior,
            INDEX_LEAF => Kind::IndexLeaf,
            INDEX_INTERIOR => Kind::IndexInterior,
            _ => return None,
        };
        let cells = usize::from(short_at(&*page, 3));
        let node = Self { page, kind, cells };
        let list_end = node.list_start() + 2 * cells;
        let fits = |cell| (list_end..PAGE - 3).contains(&node.cell_at(cell));
        (cells <= CELLS_MAX && (0..cells).all(fits)).then_some(node)
    }

    /// The page as a leaf of a table, whatever its header says: if that is damaged, checksums tell which rows are
    /// whole.
    pub(super) fn presumed_leaf(page: Page) -> Self {
        let cells = usize::from(short_at(&*page, 3)).min(CELLS_MAX);
        Self { page, kind: Kind::Leaf, cells }
    }

    pub(super) fn cells(&self) -> usize {
        self.cells
    }

    fn list_start(&self) -> usize {
        if matches!(self.kind, Kind::Interior | Kind::IndexInterior) { 12 } else { 8 }
    }

    fn cell_at(&self, cell: usize) -> usize {
        usize::from(short_at(&*self.page, self.list_start() + 2 * cell))
    }

    fn cell(&self, cell: usize) -> &[u8] {
        self.page.get(self.cell_at(cell)..).unwrap_or_default()
    }

    /// The children of an interior page, each with the largest key below it; the last one has none.
    pub(super) fn children(&self) -> Vec<(u32, Option<i64>)> {
        let is_table = self.kind == Kind::Interior;
        let child = |cell| {
            let bytes = self.cell(cell);
            let key = varint(bytes.get(4..).unwrap_or_default()).map(|(key, _)| key.cast_signed());
            (number_at(bytes, 0), key.filter(|_| is_table))
        };
        (0..self.cells).map(child).chain([(number_at(&*self.page, 8), None)]).collect()
    }

    /// The key in a cell of a leaf.
    pub(super) fn key(&self, cell: usize) -> Option<i64> {
        let cell = self.cell(cell);
        let (_, used) = varint(cell)?;
        varint(&cell[used..]).map(|(key, _)| key.cast_signed())
    }

    /// The row in a cell of a leaf; `None` when it can't be one.
    pub(super) fn row(&self, cell: usize, image: &Image) -> Result<Option<Row>> {
        let cell = self.cell(cell);
        let Some((length, used)) = varint(cell) else { return Ok(None) };
        let Some((key, more)) = varint(&cell[used..]) else { return Ok(None) };
        let payload = payload(&cell[used + more..], length, LOCAL_MAX, image)?;
        Ok(payload.and_then(|payload| record(&payload)).map(|values| Row { key: key.cast_signed(), values }))
    }

    /// The entry in a cell of an index.
    pub(super) fn entry(&self, cell: usize, image: &Image) -> Result<Option<Vec<Value>>> {
        let skipped = if self.kind == Kind::IndexInterior { 4 } else { 0 };
        let cell = self.cell(cell).get(skipped..).unwrap_or_default();
        let Some((length, used)) = varint(cell) else { return Ok(None) };
        let payload = payload(&cell[used..], length, INDEX_LOCAL_MAX, image)?;
        Ok(payload.and_then(|payload| record(&payload)))
    }
}

/// The payload that begins with `cell`, and continues on overflow pages if it is too long for its page.
fn payload(cell: &[u8], length: u64, local_max: usize, image: &Image) -> Result<Option<Vec<u8>>> {
    if length > PAYLOAD_MAX || length.div_ceil(OVERFLOW as u64) > u64::from(image.pages()) {
        return Ok(None);
    }
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let local = if length <= local_max {
        length
    } else {
        let even = LOCAL_MIN + (length - LOCAL_MIN) % OVERFLOW;
        if even <= local_max { even } else { LOCAL_MIN }
    };
    let Some(here) = cell.get(..local) else { return Ok(None) };
    let mut payload = here.to_vec();
    let mut next = number_at(cell, local);
    while payload.len() < length {
        let Some(page) = image.page(next)? else { return Ok(None) };
        let count = (length - payload.len()).min(OVERFLOW);
        payload.extend_from_slice(&page[4..4 + count]);
        next = number_at(&*page, 0);
    }
    Ok(Some(payload))
}

/// The values of a record; `None` when it isn't one.
fn record(payload: &[u8]) -> Option<Vec<Value>> {
    let (header, mut at) = varint(payload)?;
    let header = usize::try_from(header).ok().filter(|header| *header <= payload.len())?;
    let (mut body, mut values) = (header, Vec::new());
    while at < header {
        let (kind, used) = varint(&payload[at..header])?;
        at += used;
        let length = width(kind)?;
        values.push(value(kind, payload.get(body..body.checked_add(length)?)?)?);
        body += length;
        if values.len() > COLUMNS_MAX {
            return None;
        }
    }
    (body == payload.len()).then_some(values)
}

/// Bytes of a value of this serial type.
fn width(kind: u64) -> Option<usize> {
    match kind {
        0 | 8 | 9 => Some(0),
        1..=4 => usize::try_from(kind).ok(),
        5 => Some(6),
        6 | 7 => Some(8),
        10 | 11 => None,
        _ => usize::try_from((kind - 12) / 2).ok(),
    }
}

fn value(kind: u64, bytes: &[u8]) -> Option<Value> {
    Some(match kind {
        0 => Value::Null,
        1..=6 => Value::Integer(integer(bytes)),
        7 => Value::Real(f64::from_bits(integer(bytes).cast_unsigned())),
        8 => Value::Integer(0),
        9 => Value::Integer(1),
        _ if kind.is_multiple_of(2) => Value::Blob(bytes.to_vec()),
        _ => Value::Text(String::from_utf8(bytes.to_vec()).ok()?),
    })
}

/// A big-endian number with a sign.
fn integer(bytes: &[u8]) -> i64 {
    let first = if bytes.first().is_some_and(|byte| byte & 0x80 > 0) { -1 } else { 0 };
    bytes.iter().fold(first, |number, byte| number << 8 | i64::from(*byte))
}

/// A number of up to nine bytes, and how many it takes.
fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut number = 0;
    for (index, byte) in bytes.iter().take(8).enumerate() {
        number = number << 7 | u64::from(byte & 0x7F);
        if byte & 0x80 == 0 {
            return Some((number, index + 1));
        }
    }
    bytes.get(8).map(|byte| (number << 8 | u64::from(*byte), 9))
}

fn short_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|bytes| bytes.first_chunk()).map_or(0, |bytes| u16::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_have_one_to_nine_bytes() {
        for (bytes, number) in [
            (&[0x07][..], 7),
            (&[0x81, 0x00], 128),
            (&[0x82, 0x80, 0x01], 2 << 14 | 1),
            (&[0xFF; 9], u64::MAX),
            (&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x05], 5),
        ] {
            assert_eq!(varint(bytes), Some((number, bytes.len())));
            assert_eq!(varint(&bytes[..bytes.len() - 1]), None, "cut off");
        }
    }

    #[test]
    fn a_record_is_decoded_whole_or_not_at_all() {
        let bytes = [8, 0, 1, 2, 9, 15, 12, 16, 0xFE, 0x01, 0x00, b'a', 7, 8];
        let values = vec![
            Value::Null,
            Value::Integer(-2),
            Value::Integer(256),
            Value::Integer(1),
            Value::Text("a".into()),
            Value::Blob(vec![]),
            Value::Blob(vec![7, 8]),
        ];
        assert_eq!(record(&bytes), Some(values));
        for end in 0..bytes.len() {
            assert_eq!(record(&bytes[..end]), None, "{end} bytes");
        }
        assert_eq!(record(&[bytes.as_slice(), &[0]].concat()), None, "a byte too many");
        assert_eq!(record(&[2, 10]), None, "a reserved type");
        assert_eq!(record(&[2, 15, 0xFF]), None, "no text");
    }
}
