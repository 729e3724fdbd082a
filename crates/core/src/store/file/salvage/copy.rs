//! The rows of a damaged file, written to a fresh one: first those that are certainly in the outbox, then those of
//! which nobody knows whether they were deleted.

use std::collections::HashSet;

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::image::Image;
use super::record::{Kind, Node, Row};
use super::tables::{TABLES, Table};
use super::tree::{LETTERS, MESSAGES, Standing, Trees, WIRE};
use crate::store::file::fault::{Fault, Result};

/// Rows that are written to the fresh file at once.
const COMMIT_ROWS: u64 = 16_384;

/// What was copied, and what could not be.
#[derive(Debug, Default)]
pub(super) struct Copied {
    /// Rows that were found and are not as they were written.
    pub(super) unreadable: u64,
    /// Of each table, in the order of [`TABLES`]: rows, and the sum of their checksums.
    pub(super) written: Vec<(u64, u64)>,
    /// Messages and letters that may have been deleted.
    pub(super) doubtful: HashSet<i64>,
    pub(super) doubtful_letters: HashSet<i64>,
    /// A row is missing that says what was on the wire.
    pub(super) lacks_wire: bool,
}

pub(super) fn copy(image: &Image, trees: &Trees, target: &Connection) -> Result<Copied> {
    let copied = Copied { written: vec![(0, 0); TABLES.len()], ..Copied::default() };
    let mut copying = Copying { image, trees, target, copied, rows: 0 };
    target.execute_batch("BEGIN")?;
    for standing in [Standing::Used, Standing::Unknown] {
        for page in trees.pages().filter(|page| trees.standing(*page) == standing) {
            copying.page(page, standing)?;
        }
    }
    target.execute_batch("COMMIT")?;
    Ok(copying.copied)
}

/// Whether a row is as it was written.
pub(super) fn is_sound(db: &Connection, table: &Table, values: &[Value]) -> Result<bool> {
    let places = vec!["?"; values.len()].join(", ");
    let mut statement = db.prepare_cached(&format!("SELECT {places}"))?;
    let mut rows = statement.query(params_from_iter(values))?;
    let row = rows.next()?;
    Ok(row.is_some_and(table.sound))
}

/// The checksum of a row: those of a table add up to the same sum in any order.
pub(super) fn sum_of(values: &[Value]) -> u64 {
    let mut sum = crc32fast::Hasher::new();
    for value in values {
        let (kind, bytes) = match value {
            Value::Null => (0, Vec::new()),
            Value::Integer(number) => (1, number.to_le_bytes().to_vec()),
            Value::Real(number) => (2, number.to_le_bytes().to_vec()),
            Value::Text(text) => (3, text.as_bytes().to_vec()),
            Value::Blob(bytes) => (4, bytes.clone()),
        };
        sum.update(&[kind]);
        sum.update(&(bytes.len() as u64).to_le_bytes());
        sum.update(&bytes);
    }
    u64::from(sum.finalize())
}

struct Copying<'a> {
    image: &'a Image,
    trees: &'a Trees,
    target: &'a Connection,
    copied: Copied,
    rows: u64,
}

impl Copying<'_> {
    fn page(&mut self, number: u32, standing: Standing) -> Result<()> {
        let Some(page) = self.image.page(number)? else { return Ok(()) };
        match Node::of(page.clone()) {
            Some(node) if node.kind == Kind::Leaf => self.leaf(number, &node, standing, true),
            Some(_) => Ok(()),
            // Texts of messages are on pages that are no part of a tree: they must not be taken for rows.
            None if self.trees.is_mapped_leaf(number) => self.leaf(number, &Node::presumed_leaf(page), standing, false),
            None => Ok(()),
        }
    }

    /// Copies the rows of a leaf. What is damaged is counted where the page itself is not.
    fn leaf(&mut self, number: u32, node: &Node, standing: Standing, counts: bool) -> Result<()> {
        let root = self.trees.root_of(number);
        for cell in 0..node.cells() {
            let is_copied = match node.row(cell, self.image)? {
                Some(row) => self.row(&row, standing)?,
                None => Some(false),
            };
            // What is no row of a table of ours may be SQLite's own, except where only ours can be.
            let is_damaged = is_copied == Some(false)
                || (is_copied.is_none() && root.is_some_and(|root| (MESSAGES..=LETTERS).contains(&root)));
            if is_damaged && counts && standing == Standing::Used {
                self.copied.unreadable += 1;
                self.copied.lacks_wire |= root.is_none_or(|root| root == WIRE);
            }
        }
        Ok(())
    }

    fn table_of(&self, row: &Row) -> Option<(&'static Table, usize, Vec<Value>)> {
        let found = |(index, table): (usize, &'static Table)| table.values(row).map(|values| (table, index, values));
        TABLES.iter().enumerate().find_map(found)
    }

    /// Copies a row, if it is sound; `None` for one of no table.
    fn row(&mut self, row: &Row, standing: Standing) -> Result<Option<bool>> {
        let Some((table, index, values)) = self.table_of(row) else { return Ok(None) };
        if !is_sound(self.target, table, &values)? {
            return Ok(Some(false));
        }
        if standing == Standing::Unknown && table.tells_wire {
            // An old log would say that messages are on the wire that have come back, and the other way round.
            self.copied.lacks_wire = true;
            return Ok(Some(true));
        }
        let is_new = self.target.prepare_cached(table.insert)?.execute(params_from_iter(&values))? > 0;
        if is_new {
            let (count, sum) = &mut self.copied.written[index];
            (*count, *sum) = (*count + 1, sum.wrapping_add(sum_of(&values)));
            if standing == Standing::Unknown {
                match table.name {
                    "messages" => drop(self.copied.doubtful.insert(row.key)),
                    "letters" => drop(self.copied.doubtful_letters.insert(row.key)),
                    _ => {}
                }
            }
        }
        self.rows += 1;
        if self.rows.is_multiple_of(COMMIT_ROWS) {
            self.target.execute_batch("COMMIT; BEGIN")?;
        }
        Ok(Some(true))
    }
}

/// Compares what the fresh file has, by a new connection to it, with what was written to it.
pub(super) fn compare(db: &Connection, copied: &Copied) -> Result<()> {
    for (table, written) in TABLES.iter().zip(&copied.written) {
        let (mut count, mut sum) = (0_u64, 0_u64);
        let mut statement = db.prepare(table.select)?;
        let all = [i64::MIN, i64::MAX];
        let mut rows = statement.query(params_from_iter(&all[..statement.parameter_count()]))?;
        while let Some(row) = rows.next()? {
            let values: Vec<Value> = (0..table.columns).map(|index| row.get(index)).collect::<rusqlite::Result<_>>()?;
            (count, sum) = (count + 1, sum.wrapping_add(sum_of(&values)));
        }
        if (count, sum) != *written {
            return Err(Fault::corrupt(format!("can't be recovered: the copy of its {} is not complete", table.name)));
        }
    }
    Ok(())
}
