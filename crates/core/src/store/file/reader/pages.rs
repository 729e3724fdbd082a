//! Rows, a page at a time: a million of them must not be in memory.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Params, Row, params};
use serde_json::value::{RawValue, to_raw_value};

use super::Texts;
use super::shapes::{Content, Envelope, Found, LetterRow, MessageRow, Page, ReceiptRow, State};
use crate::json::Body;
use crate::outcome::Response;
use crate::store::file::failure::failure_from;
use crate::store::file::fault::{Fault, Result};
use crate::store::file::part::{Part, number_of};
use crate::store::file::receipts::{self, Receipt};
use crate::store::file::rows::prefixed;
use crate::store::file::rows::{
    HEAD, HEAD_COLUMNS, Head, RETURNED, RETURNED_COLUMNS, Returned, TAIL, TAIL_COLUMNS, Tail,
};
use crate::store::file::wire::{self, Wire};
use crate::store::{SEQ_MAX, batch_of};

/// Rows, and bytes of texts, of one page.
const PAGE_ROWS: usize = 1_000;
const PAGE_BYTES: usize = 4 * 1_048_576;

pub(super) fn messages(db: &Connection, part: Part, after: u64, texts: Texts) -> Result<Page<MessageRow>> {
    let sql = format!("{} WHERE m.seq > ?1 AND m.seq <= ?2 ORDER BY m.seq", message_sql());
    let wire = wire_of(db, part)?;
    page(db, &sql, part, after, 0, |row| message(row, &wire, texts))
}

pub(super) fn letters(db: &Connection, part: Part, after: u64, texts: Texts) -> Result<Page<LetterRow>> {
    let sql = format!("{} WHERE number > ?1 AND number <= ?2 ORDER BY number", letter_sql());
    page(db, &sql, part, after, LETTER, |row| letter(row, texts))
}

/// A page ends with a row of the file, each of which has several.
pub(super) fn receipts(db: &Connection, part: Part, after: u64) -> Result<Page<ReceiptRow>> {
    let mut statement = db.prepare_cached(receipts::SELECT)?;
    let mut rows = statement.query(params![behind(part, after), part.end()])?;
    let (mut told, mut last) = (Vec::new(), after);
    while let Some(row) = rows.next()? {
        if told.len() >= PAGE_ROWS {
            return Ok(Page { rows: told, next: Some(last) });
        }
        let number = natural(number_of(row.get(0)?));
        if number <= last {
            return Err(out_of_order());
        }
        last = number;
        // What is damaged is told by a check; the others are told all the same.
        let receipts = intact(receipts::read(row))?.into_iter().flatten();
        let receipts = receipts.map(|(number, receipt)| receipt_row(number, receipt));
        told.extend(receipts.filter(|receipt| receipt.number > after));
    }
    Ok(Page { rows: told, next: None })
}

/// What waits with this id, what was given up, what was delivered.
pub(super) fn find(db: &Connection, part: Part, id: &str, texts: Texts) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    let (start, end) = (part.start(), part.end());
    let sql = format!("{} WHERE m.id = ?1 AND m.seq > ?2 AND m.seq <= ?3 ORDER BY m.seq", message_sql());
    let wire = wire_of(db, part)?;
    each(db, &sql, params![id, start, end], |row| {
        found.push(Found::Message(message(row, &wire, texts)?));
        Ok(())
    })?;
    let sql = format!("{} WHERE id = ?1 AND number > ?2 AND number <= ?3 ORDER BY number", letter_sql());
    each(db, &sql, params![id, start, end], |row| {
        found.push(Found::Letter(letter(row, texts)?));
        Ok(())
    })?;
    each(db, receipts::SELECT, params![start, end], |row| {
        let receipts = intact(receipts::read(row))?.into_iter().flatten().filter(|(_, receipt)| receipt.id == id);
        found.extend(receipts.map(|(number, receipt)| Found::Receipt(receipt_row(number, receipt))));
        Ok(())
    })?;
    Ok(found)
}

/// Calls `take` with every row.
pub(super) fn each(
    db: &Connection,
    sql: &str,
    values: impl Params,
    mut take: impl FnMut(&Row<'_>) -> Result<()>,
) -> Result<()> {
    let mut statement = db.prepare(sql)?;
    let mut rows = statement.query(values)?;
    while let Some(row) = rows.next()? {
        take(row)?;
    }
    Ok(())
}

/// What it takes to be told in bytes, about.
trait Weight {
    fn weight(&self) -> usize;
}

impl Weight for MessageRow {
    fn weight(&self) -> usize {
        self.envelope.as_ref().map_or(0, Envelope::weight)
    }
}

impl Weight for LetterRow {
    fn weight(&self) -> usize {
        // An answer's body is short already.
        self.envelope.as_ref().map_or(0, Envelope::weight)
    }
}

impl Envelope {
    fn weight(&self) -> usize {
        if self.content.is_some() { self.bytes as usize } else { 0 }
    }
}

/// The key behind which the rows of a part begin that come after a number.
fn behind(part: Part, after: u64) -> i64 {
    part.key(after.min(SEQ_MAX))
}

/// The rows of a part behind `after` of a query that has the key in the column `key`.
fn page<T: Weight>(
    db: &Connection,
    sql: &str,
    part: Part,
    after: u64,
    key: usize,
    read: impl Fn(&Row<'_>) -> Result<T>,
) -> Result<Page<T>> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params![behind(part, after), part.end()])?;
    let (mut told, mut last, mut bytes) = (Vec::new(), after, 0);
    while let Some(row) = rows.next()? {
        if told.len() == PAGE_ROWS || bytes >= PAGE_BYTES {
            return Ok(Page { rows: told, next: Some(last) });
        }
        let number = natural(number_of(row.get(key)?));
        if number <= last {
            return Err(out_of_order());
        }
        last = number;
        let row = read(row)?;
        bytes += row.weight();
        told.push(row);
    }
    Ok(Page { rows: told, next: None })
}

const MESSAGE_TAIL: usize = HEAD_COLUMNS + RETURNED_COLUMNS;

/// Columns that nobody reads cost nothing: a large body is on pages of its own.
fn message_sql() -> String {
    let (head, tail) = (prefixed(HEAD), prefixed(TAIL));
    format!("SELECT {head}, {RETURNED}, {tail} FROM messages m LEFT JOIN returned r ON r.seq = m.seq")
}

/// What a part has on the wire, as far as it can be read.
pub(super) fn wire_of(db: &Connection, part: Part) -> Result<Wire> {
    Ok(intact(wire::read(db, part))?.unwrap_or_default())
}

fn message(row: &Row<'_>, wire: &Wire, texts: Texts) -> Result<MessageRow> {
    let envelope = intact(envelope(row, MESSAGE_TAIL, texts))?;
    let returned = intact(Returned::read(row, HEAD_COLUMNS))?;
    let seq = number_of(row.get(0)?);
    let sent = wire.sent.get(&seq);
    let state = match (&envelope, &returned) {
        (None, _) | (_, None) => State::Damaged,
        _ if sent.is_some() => State::Sent,
        (_, Some(None)) => State::Waiting,
        (_, Some(Some(returned))) if returned.batch.is_some() => State::Bound,
        _ => State::Retrying,
    };
    let returned = returned.flatten().unwrap_or_default();
    Ok(MessageRow {
        seq: natural(seq),
        state,
        envelope,
        attempts: sent.map_or(returned.attempts, |sent| sent.attempts),
        first_attempt_at_ms: sent.map_or(returned.first_attempt_ms, |sent| sent.first_attempt_ms),
        sent_at_ms: sent.map(|sent| sent.at_ms),
        ambiguous: returned.ambiguous,
        batch: sent.map_or(returned.batch, |sent| sent.batch).map(|number| batch_of(natural(number))),
    })
}

/// Where a letter's own columns begin.
const LETTER: usize = HEAD_COLUMNS + TAIL_COLUMNS;

fn letter_sql() -> String {
    format!("SELECT {HEAD}, {TAIL}, number, at_ms, failure, response FROM letters")
}

fn letter(row: &Row<'_>, texts: Texts) -> Result<LetterRow> {
    let number = natural(number_of(row.get(LETTER)?));
    match intact(read_letter(row, number, texts))? {
        Some(letter) => Ok(letter),
        None => Ok(LetterRow {
            number,
            envelope: None,
            reason: "damaged",
            message: None,
            status: None,
            attempts: 0,
            ambiguous: false,
            correlation_id: None,
            at_ms: intact(row.get(LETTER + 1).map_err(Fault::from))?.unwrap_or(0),
            response: None,
        }),
    }
}

fn read_letter(row: &Row<'_>, number: u64, texts: Texts) -> Result<LetterRow> {
    let envelope = envelope(row, HEAD_COLUMNS, texts)?;
    let text: String = row.get(LETTER + 2)?;
    let body: Option<Vec<u8>> = row.get(LETTER + 3)?;
    let failure = failure_from(&text, body.as_deref(), &envelope.id)?;
    let response = failure.response.as_ref();
    Ok(LetterRow {
        number,
        reason: failure.reason.word(),
        message: Some(failure.to_string()),
        status: response.map(|response| response.status),
        attempts: failure.attempts,
        ambiguous: failure.ambiguous,
        correlation_id: response.and_then(|response| response.correlation_id.clone()),
        at_ms: row.get(LETTER + 1)?,
        response: response.filter(|_| texts == Texts::Shown).map(answer),
        envelope: Some(envelope),
    })
}

fn receipt_row(number: i64, receipt: Receipt<'_>) -> ReceiptRow {
    let Receipt { id, conversation, status, attempts, batch_size, queued_ms, at_ms, .. } = receipt;
    ReceiptRow {
        number: natural(number),
        id: id.into_owned().into(),
        conversation_id: conversation.into_owned().into(),
        status,
        attempts,
        batch_size,
        queued_ms,
        at_ms,
    }
}

fn envelope(row: &Row<'_>, tail: usize, texts: Texts) -> Result<Envelope> {
    let head = Head::read(row, 0)?;
    let content = if texts == Texts::Shown { Some(content(&Tail::read(row, tail, &head)?)) } else { None };
    Ok(Envelope {
        id: head.id,
        conversation_id: head.conversation,
        priority: head.priority,
        bytes: head.bytes,
        accepted_at_ms: head.submitted_ms,
        expires_at_ms: head.expires_ms,
        not_before_ms: head.not_before_ms,
        content,
    })
}

fn content(tail: &Tail<'_>) -> Content {
    Content {
        body: json_or_text(tail.body),
        params: tail.params.map(|params| json_or_text(params.as_bytes())),
        headers: tail.headers.map(|headers| json_or_text(headers.as_bytes())),
        traceparent: tail.traceparent.map(Box::from),
    }
}

fn answer(response: &Response) -> Box<RawValue> {
    shown(Body { bytes: &response.body, truncated: response.truncated })
}

fn json_or_text(bytes: &[u8]) -> Box<RawValue> {
    shown(Body { bytes, truncated: false })
}

/// As it was written: a tree of it could be a hundred times as large, or refuse a number that it can't hold.
fn shown(body: Body<'_>) -> Box<RawValue> {
    to_raw_value(&body).unwrap_or_default()
}

/// What was read, or that this row is damaged: the others are told all the same.
fn intact<T>(read: Result<T>) -> Result<Option<T>> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(fault) if fault.is_corrupt() => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// Going on from such a row would never end.
fn out_of_order() -> Fault {
    Fault::corrupt("is damaged: its rows are out of order")
}

/// A count, or a sum as `total` gives it.
pub(super) fn whole(row: &Row<'_>, index: usize) -> rusqlite::Result<u64> {
    Ok(match row.get_ref(index)? {
        ValueRef::Integer(number) => natural(number),
        ValueRef::Real(number) => number as u64,
        _ => 0,
    })
}

fn natural(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
