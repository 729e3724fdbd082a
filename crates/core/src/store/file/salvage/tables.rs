//! The tables of the schema: how a row of each is recognized, and written to a fresh file.

use rusqlite::Row as SqlRow;
use rusqlite::types::Value;

use crate::store::file::{organizations, receipts, rows, wire};

use super::record::Row;

/// A table. No two have equally many columns, so that the number of values tells which a row belongs to.
pub(super) struct Table {
    pub(super) name: &'static str,
    /// All columns, in the order of `insert` and `sound`, in the order of the keys: from behind a key, and up to
    /// another one if it has a second place for that.
    pub(super) select: &'static str,
    pub(super) insert: &'static str,
    pub(super) columns: usize,
    /// Values that stand before those of the message in the file, and after them in `select`.
    before_message: usize,
    /// Whether a row is as it was written.
    pub(super) sound: fn(&SqlRow<'_>) -> bool,
    /// Whether it says what was on the wire: if a row of it is lost, that is unknown.
    pub(super) tells_wire: bool,
}

impl Table {
    /// The values of a row in the order of `select`, if it can be one of this table.
    pub(super) fn values(&self, row: &Row) -> Option<Vec<Value>> {
        // The key stands in front of its record, and a null in its place there.
        let is_ours = row.values.len() == self.columns && row.values[0] == Value::Null;
        is_ours.then(|| {
            let mut values = row.values.clone();
            values[0] = Value::Integer(row.key);
            values.rotate_left(self.before_message);
            values
        })
    }
}

pub(super) const TABLES: [Table; 6] = [
    Table {
        name: "messages",
        select: "SELECT seq, id, given, conversation, priority, bytes, submitted_ms, expires_ms, not_before_ms, head, tail, params,
            headers, traceparent, body FROM messages WHERE seq > ?1 ORDER BY seq",
        insert: "INSERT OR IGNORE INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        columns: 15,
        before_message: 0,
        sound: rows::is_message,
        tells_wire: false,
    },
    Table {
        name: "letters",
        select: "SELECT seq, id, given, conversation, priority, bytes, submitted_ms, expires_ms, not_before_ms, head, tail, params,
            headers, traceparent, body, number, at_ms, failure, response FROM letters WHERE number > ?1 ORDER BY number",
        insert: "INSERT OR IGNORE INTO letters(seq, id, given, conversation, priority, bytes, submitted_ms, expires_ms,
            not_before_ms, head, tail, params, headers, traceparent, body, number, at_ms, failure, response)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        columns: 19,
        before_message: 4,
        sound: rows::is_letter,
        tells_wire: false,
    },
    Table {
        name: "wire",
        select: wire::SELECT,
        insert: "INSERT OR IGNORE INTO wire VALUES (?, ?, ?, ?)",
        columns: 4,
        before_message: 0,
        sound: wire::is_sound,
        tells_wire: true,
    },
    Table {
        name: "returned",
        select: "SELECT seq, attempts, first_attempt_ms, ambiguous, batch, sum FROM returned WHERE seq > ?1 ORDER BY seq",
        insert: "INSERT OR IGNORE INTO returned VALUES (?, ?, ?, ?, ?, ?)",
        columns: 6,
        before_message: 0,
        sound: rows::is_returned,
        tells_wire: false,
    },
    Table {
        name: "deliveries",
        select: receipts::SELECT,
        insert: "INSERT OR IGNORE INTO deliveries VALUES (?, ?, ?, ?, ?)",
        columns: 5,
        before_message: 0,
        sound: receipts::is_sound,
        tells_wire: false,
    },
    Table {
        name: "organizations",
        select: organizations::SELECT,
        insert: "INSERT OR IGNORE INTO organizations VALUES (?, ?, ?)",
        columns: 3,
        before_message: 0,
        sound: organizations::is_sound,
        tells_wire: false,
    },
];
