//! The tables of each version of the schema, and how a damaged file's rows are copied: as they are, each for itself.

use rusqlite::Row as SqlRow;

use crate::store::sqlite::{receipts, rows, wire};

/// A table, and how it is copied: all rows behind a key, in the order of their keys.
pub(super) struct Table {
    pub(super) select: &'static str,
    pub(super) insert: &'static str,
    pub(super) key: usize,
    /// Whether a row makes sense: one that doesn't would be the next opening's damage.
    pub(super) sound: fn(&SqlRow<'_>) -> bool,
    /// Whether it says what was on the wire: with a row of it that is lost, nobody knows.
    pub(super) tells_wire: bool,
}

/// The tables of a version.
pub(super) fn of(version: usize) -> &'static [Table] {
    match version {
        1 => &VERSION_1,
        _ => &VERSION_2,
    }
}

const MESSAGES: Table = Table {
    select: "SELECT seq, id, given, conversation, priority, bytes, submitted_ms, expires_ms, not_before_ms, head, tail, params,
        traceparent, body FROM messages WHERE seq > ?1 ORDER BY seq",
    insert: "INSERT OR IGNORE INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    key: 0,
    sound: rows::is_message,
    tells_wire: false,
};

const LETTERS: Table = Table {
    select: "SELECT seq, id, given, conversation, priority, bytes, submitted_ms, expires_ms, not_before_ms, head, tail, params,
        traceparent, body, number, at_ms, failure, response FROM letters WHERE number > ?1 ORDER BY number",
    insert: "INSERT OR IGNORE INTO letters(seq, id, given, conversation, priority, bytes, submitted_ms, expires_ms,
        not_before_ms, head, tail, params, traceparent, body, number, at_ms, failure, response)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    key: 14,
    sound: rows::is_letter,
    tells_wire: false,
};

const VERSION_2: [Table; 5] = [
    MESSAGES,
    LETTERS,
    Table {
        select: wire::SELECT,
        insert: "INSERT OR IGNORE INTO wire VALUES (?, ?, ?, ?)",
        key: 0,
        sound: wire::is_sound,
        tells_wire: true,
    },
    Table {
        select: "SELECT seq, attempts, first_attempt_ms, ambiguous, batch, sum FROM returned WHERE seq > ?1 ORDER BY seq",
        insert: "INSERT OR IGNORE INTO returned VALUES (?, ?, ?, ?, ?, ?)",
        key: 0,
        sound: rows::is_returned,
        tells_wire: false,
    },
    Table {
        select: receipts::SELECT,
        insert: "INSERT OR IGNORE INTO deliveries VALUES (?, ?, ?, ?, ?)",
        key: 0,
        sound: receipts::is_sound,
        tells_wire: false,
    },
];

const VERSION_1: [Table; 5] = [
    MESSAGES,
    LETTERS,
    Table {
        select: "SELECT seq, attempts, first_attempt_ms, ambiguous, sent, batch, sent_ms FROM flights WHERE seq > ?1 ORDER BY seq",
        insert: "INSERT OR IGNORE INTO flights VALUES (?, ?, ?, ?, ?, ?, ?)",
        key: 0,
        sound: is_flight,
        tells_wire: true,
    },
    Table {
        select: "SELECT number, at_ms FROM departures WHERE number > ?1 ORDER BY number",
        insert: "INSERT OR IGNORE INTO departures VALUES (?, ?)",
        key: 0,
        sound: |row| row.get::<_, i64>(1).is_ok(),
        tells_wire: false,
    },
    Table {
        select: "SELECT number, id, given, conversation, status, attempts, batch_size, queued_ms, at_ms FROM receipts
            WHERE number > ?1 ORDER BY number",
        insert: "INSERT OR IGNORE INTO receipts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        key: 0,
        sound: is_receipt,
        tells_wire: false,
    },
];

fn is_flight(row: &SqlRow<'_>) -> bool {
    let numbers = [2, 5, 6].into_iter().all(|index| row.get::<_, Option<i64>>(index).is_ok());
    let flags = [3, 4].into_iter().all(|index| row.get::<_, bool>(index).is_ok());
    numbers && flags && row.get::<_, u32>(1).is_ok()
}

fn is_receipt(row: &SqlRow<'_>) -> bool {
    let texts = [1, 3].into_iter().all(|index| row.get_ref(index).is_ok_and(|value| value.as_str().is_ok()));
    let numbers = [5, 6].into_iter().all(|index| row.get::<_, u32>(index).is_ok());
    let times = [7, 8].into_iter().all(|index| row.get::<_, i64>(index).is_ok());
    texts && numbers && times && row.get::<_, bool>(2).is_ok() && row.get::<_, u16>(4).is_ok()
}
