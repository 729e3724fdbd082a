//! Receipts as the file has them: those of one commit share a row, as JSON with a checksum, since a row for each costs
//! as much as the rest of a message's life in the file. A row's number is that of its last receipt.

use std::borrow::Cow;

use rusqlite::{Connection, Row as SqlRow, params};
use serde::{Deserialize, Serialize};

use super::fault::{Fault, Result, damage};
use super::part::{Part, number_of};
use super::rows::{NUMBER_MAX, checksum};
use super::times::natural;

/// Receipts of one row: what is lost with it, and read for one of them, has a limit.
const ROW_MAX: usize = 256;

/// What is remembered of a delivered message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Fields<'a>", into = "Fields<'a>")]
pub(super) struct Receipt<'a> {
    pub(super) id: Cow<'a, str>,
    /// Whether the caller chose the id, so that the message may come again.
    pub(super) given: bool,
    pub(super) conversation: Cow<'a, str>,
    pub(super) status: u16,
    pub(super) attempts: u32,
    pub(super) batch_size: u32,
    pub(super) queued_ms: i64,
    pub(super) at_ms: i64,
}

/// In the file they are a list.
type Fields<'a> = (Cow<'a, str>, bool, Cow<'a, str>, u16, u32, u32, i64, i64);

impl<'a> From<Fields<'a>> for Receipt<'a> {
    fn from((id, given, conversation, status, attempts, batch_size, queued_ms, at_ms): Fields<'a>) -> Self {
        Self { id, given, conversation, status, attempts, batch_size, queued_ms, at_ms }
    }
}

impl<'a> From<Receipt<'a>> for Fields<'a> {
    fn from(receipt: Receipt<'a>) -> Self {
        let Receipt { id, given, conversation, status, attempts, batch_size, queued_ms, at_ms } = receipt;
        (id, given, conversation, status, attempts, batch_size, queued_ms, at_ms)
    }
}

/// Adds receipts of a part behind all others of it.
pub(super) fn append(db: &Connection, part: Part, receipts: &[Receipt<'_>]) -> Result<()> {
    for some in receipts.chunks(ROW_MAX) {
        let before = newest(db, part)?;
        let number = part.key(natural(before.saturating_add(some.len() as i64)));
        let at_ms = some.last().map_or(0, |receipt| receipt.at_ms);
        let text = serde_json::to_string(some).map_err(damage)?;
        db.prepare_cached("INSERT INTO deliveries(number, count, at_ms, sum, receipts) VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![number, some.len() as i64, at_ms, checksum(number, &text), text])?;
    }
    Ok(())
}

/// The number of a part's last receipt; 0 when there is none.
pub(super) fn newest(db: &Connection, part: Part) -> Result<i64> {
    part.newest(db, "deliveries", "number")
}

/// All columns, in the order of [`read`]; from behind a key up to another one, in order.
pub(super) const SELECT: &str =
    "SELECT number, count, at_ms, sum, receipts FROM deliveries WHERE number > ?1 AND number <= ?2 ORDER BY number";

/// The receipts of a row of [`SELECT`] with their numbers in their part; damaged when they aren't those that were
/// written.
pub(super) fn read<'a>(row: &'a SqlRow<'_>) -> Result<impl Iterator<Item = (i64, Receipt<'a>)> + use<'a>> {
    let (key, count, sum): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(3)?);
    row.get::<_, i64>(2)?;
    let text = row.get_ref(4)?.as_str().map_err(damage)?;
    if sum != checksum(key, text) {
        return Err(Fault::corrupt("holds receipts that are not as they were written"));
    }
    let number = number_of(key);
    let receipts: Vec<Receipt<'a>> = serde_json::from_str(text).map_err(damage)?;
    let is_sound = |receipt: &Receipt<'_>| (100..1_000).contains(&receipt.status);
    // Numbers begin at 1.
    let are_numbered = receipts.len() as i64 == count && (count..=NUMBER_MAX).contains(&number);
    if !are_numbered || !receipts.iter().all(is_sound) {
        return Err(Fault::corrupt("contains receipts that cannot be decoded"));
    }
    Ok((number - count + 1..=number).zip(receipts))
}

/// Whether a row of [`SELECT`] is as it was written.
pub(super) fn is_sound(row: &SqlRow<'_>) -> bool {
    read(row).is_ok()
}
