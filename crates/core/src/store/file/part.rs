//! An organization's part of a file. Several may share one: each has a number in it, and the rows of each have keys of
//! their own range, as if every organization had a file for itself. So a row says whose it is by its key, which its
//! checksum covers, and whoever reads a range meets nobody else's rows. The first organization of a file has the number
//! 0, so that its keys are the numbers of its messages.

use std::collections::BTreeSet;

use rusqlite::types::FromSql;
use rusqlite::{Connection, OptionalExtension, ToSql, params};

use super::fault::Result;
use super::values::{meta, set_meta};
use crate::store::{SEQ_MAX, Seq};

/// Bits of a key that tell rows of one part apart; those above are the part's number.
const KEY_BITS: u32 = SEQ_MAX.count_ones();
/// Parts of a file at most: what is left of a positive key.
pub(super) const PARTS_MAX: u32 = 1 << (63 - KEY_BITS);
/// Tables with a range of keys for each part, and the names of their keys.
const TABLES: [(&str, &str); 5] =
    [("messages", "seq"), ("returned", "seq"), ("wire", "number"), ("deliveries", "number"), ("letters", "number")];

/// The part of a file that an organization has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Part(u32);

impl Part {
    /// Of the first organization of a file.
    pub(super) const FIRST: Self = Self(0);

    /// The part with this number; `None` for one that no file has.
    pub(super) fn new(number: i64) -> Option<Self> {
        u32::try_from(number).ok().filter(|number| *number < PARTS_MAX).map(Self)
    }

    /// The part that a row of this key is in; `None` for a key that no row of ours has.
    pub(super) fn of(key: i64) -> Option<Self> {
        Self::new(key >> KEY_BITS)
    }

    pub(super) fn number(self) -> i64 {
        i64::from(self.0)
    }

    /// The key in front of all of the part: numbers begin at 1.
    pub(super) fn start(self) -> i64 {
        self.number() << KEY_BITS
    }

    /// The last key that the part can have.
    pub(super) fn end(self) -> i64 {
        self.start() | SEQ_MAX.cast_signed()
    }

    /// The key of the row with a number: one that is too large for any part stays within this one.
    pub(super) fn key(self, number: u64) -> i64 {
        debug_assert!(number <= SEQ_MAX, "a number that leaves its part");
        self.start() | number.min(SEQ_MAX).cast_signed()
    }

    /// The largest number of the part's rows in a table; 0 when it has none.
    pub(super) fn newest(self, db: &Connection, table: &str, key: &str) -> Result<i64> {
        let sql = format!("SELECT {key} FROM {table} WHERE {key} > ?1 AND {key} <= ?2 ORDER BY {key} DESC LIMIT 1");
        let mut statement = db.prepare_cached(&sql)?;
        let newest: Option<i64> =
            statement.query_row(params![self.start(), self.end()], |row| row.get(0)).optional()?;
        Ok(newest.map_or(0, number_of))
    }

    /// One of the part's few single values.
    pub(super) fn meta<T: FromSql>(self, db: &Connection, name: &str) -> Result<Option<T>> {
        meta(db, &self.name(name))
    }

    /// Remembers one of them.
    pub(super) fn set_meta(self, db: &Connection, name: &str, value: impl ToSql) -> Result<()> {
        set_meta(db, &self.name(name), value)
    }

    fn name(self, name: &str) -> String {
        format!("{name}/{}", self.0)
    }
}

/// A part's single value by its name, and the part.
pub(super) fn split_name(name: &str) -> Option<(&str, Part)> {
    let (name, number) = name.split_once('/')?;
    Some((name, Part::new(number.parse().ok()?)?))
}

/// A row's number in its part.
pub(super) fn number_of(key: i64) -> i64 {
    key & SEQ_MAX.cast_signed()
}

/// The number of a message in its part.
pub(super) fn seq_of(key: i64) -> Seq {
    number_of(key).cast_unsigned()
}

/// The parts that have rows, whoever they belong to.
pub(super) fn with_rows(db: &Connection) -> Result<BTreeSet<Part>> {
    let mut parts = BTreeSet::new();
    for (table, key) in TABLES {
        let mut next = db.prepare(&format!("SELECT {key} FROM {table} WHERE {key} > ?1 ORDER BY {key} LIMIT 1"))?;
        let mut after = 0;
        while let Some(key) = next.query_row(params![after], |row| row.get::<_, i64>(0)).optional()? {
            let Some(part) = Part::of(key) else { break };
            parts.insert(part);
            after = part.end();
        }
    }
    Ok(parts)
}

/// Deletes all rows of a part; how many there were.
pub(super) fn forget(db: &Connection, part: Part) -> Result<u64> {
    let mut rows = 0;
    for (table, key) in TABLES {
        let sql = format!("DELETE FROM {table} WHERE {key} > ?1 AND {key} <= ?2");
        rows += db.execute(&sql, params![part.start(), part.end()])? as u64;
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_have_keys_of_their_own_and_all_of_them_are_positive() {
        let last = Part::new(i64::from(PARTS_MAX) - 1).unwrap();
        assert_eq!((Part::FIRST.start(), Part::FIRST.key(7), last.end()), (0, 7, i64::MAX));
        for part in [Part::FIRST, Part(1), Part(999), last] {
            for seq in [1, 2, SEQ_MAX] {
                let key = part.key(seq);
                assert!(key > part.start() && key <= part.end());
                assert_eq!((Part::of(key), seq_of(key)), (Some(part), seq));
            }
        }
        assert_eq!(Part(1).start(), Part(0).end() + 1, "there is nothing in between");
        assert!(Part::new(-1).is_none() && Part::new(i64::from(PARTS_MAX)).is_none() && Part::of(-1).is_none());
        assert_eq!(split_name("budget/12"), Some(("budget", Part(12))));
        assert!(split_name("clean").is_none() && split_name("budget/-1").is_none());
    }
}
