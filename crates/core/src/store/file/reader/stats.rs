//! The file in numbers.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::pages::{each, whole, wire_of};
use crate::store::file::fault::Result;
use crate::store::file::log;
use crate::store::file::organizations;
use crate::store::file::part::{Part, number_of};
use crate::store::file::values::meta;
use crate::store::file::{hold, lock, recover, schema};

/// A file in numbers. Times are milliseconds since the Unix epoch.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// Whose messages they are.
    pub organization: Option<String>,
    /// How many organizations have a part of the file: what is counted below, other than its bytes, is of this one.
    pub organizations: usize,
    /// The process that has it open; 0 when one has, and doesn't say which.
    pub owner: Option<u32>,
    /// The version of its tables.
    pub schema: usize,
    /// When it was made.
    pub created_at_ms: Option<i64>,
    /// Whether its last owner has closed it; an open one isn't closed.
    pub closed: bool,
    /// How large it is.
    pub files: Files,
    /// The number of the last message ever accepted.
    pub last_seq: u64,
    /// What is in the outbox.
    pub messages: Messages,
    /// The dead letters.
    pub letters: Letters,
    /// What is remembered of delivered messages.
    pub receipts: Receipts,
    /// What the next run knows of the budget; none before anything was sent.
    pub budget: Option<Budget>,
}

/// Bytes on disk.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Files {
    /// Of the database.
    pub bytes: u64,
    /// Of its write-ahead log.
    pub log_bytes: u64,
}

/// The outbox.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Messages {
    /// All of them.
    pub count: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
    /// Those that were never on the wire.
    pub waiting: u64,
    /// Those that are on the wire, or were when the owner died.
    pub sent: u64,
    /// Those that are tried again.
    pub retrying: u64,
    /// Those that are to be repeated in the same batch.
    pub bound: u64,
    /// Those with an attempt that was sent and not answered; the ones of `sent` come on top when the owner died.
    pub ambiguous: u64,
    /// When the first of them was accepted.
    pub oldest_at_ms: Option<i64>,
    /// When the last of them was accepted.
    pub newest_at_ms: Option<i64>,
}

/// The dead letters.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Letters {
    /// All of them.
    pub count: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
    /// How many for each reason.
    pub reasons: BTreeMap<String, u64>,
    /// When the first of them was given up.
    pub oldest_at_ms: Option<i64>,
    /// When the last of them was given up.
    pub newest_at_ms: Option<i64>,
}

/// The receipts.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipts {
    /// All of them.
    pub count: u64,
    /// When the first of them came; the last one of its commit, if it came with others.
    pub oldest_at_ms: Option<i64>,
    /// When the last of them came.
    pub newest_at_ms: Option<i64>,
}

/// What the next run knows of the budget.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Budget {
    /// When it was written.
    pub saved_at_ms: Option<i64>,
    /// Requests that held a slot then.
    pub spent: u64,
    /// Requests that left since then.
    pub departed: u64,
    /// The pause that was in force.
    pub pause: Option<Pause>,
    /// An operator's pause.
    pub hold: Option<Pause>,
}

/// A time in which nothing is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pause {
    /// When it began.
    pub since_ms: i64,
    /// When it ends, or ended; none while a probe was out, and of an operator's that has no end.
    pub until_ms: Option<i64>,
}

pub(super) fn stats(db: &Connection, part: Part, path: &Path) -> Result<Stats> {
    let organizations = organizations::all(db)?;
    let own = organizations.iter().find(|(_, other)| **other == part);
    Ok(Stats {
        organization: own.map(|(name, _)| name.to_string()),
        organizations: organizations.len(),
        owner: lock::owner(path),
        schema: schema::VERSION,
        created_at_ms: meta(db, "created_ms")?,
        closed: meta::<i64>(db, "clean")? == Some(1),
        files: Files {
            bytes: fs::metadata(path).map_or(0, |metadata| metadata.len()),
            log_bytes: log::file_bytes(path),
        },
        last_seq: recover::last_seq(db, part)?,
        messages: messages(db, part)?,
        letters: letters(db, part)?,
        receipts: receipts(db, part)?,
        budget: budget(db, part)?,
    })
}

fn messages(db: &Connection, part: Part) -> Result<Messages> {
    let sql = "SELECT count(*), total(bytes), min(submitted_ms), max(submitted_ms) FROM messages
               WHERE seq > ?1 AND seq <= ?2";
    let (count, bytes, oldest_at_ms, newest_at_ms) =
        db.query_row(sql, range(part), |row| Ok((whole(row, 0)?, whole(row, 1)?, row.get(2)?, row.get(3)?)))?;
    let Tally { sent, retrying, bound, ambiguous } = tally(db, part)?;
    Ok(Messages {
        count,
        bytes,
        waiting: count.saturating_sub(sent + retrying + bound),
        sent,
        retrying,
        bound,
        ambiguous,
        oldest_at_ms,
        newest_at_ms,
    })
}

/// Messages that have been on the wire, by what became of them.
#[derive(Default)]
struct Tally {
    sent: u64,
    retrying: u64,
    bound: u64,
    ambiguous: u64,
}

/// The keys behind which a part's rows begin, and with which they end.
fn range(part: Part) -> [i64; 2] {
    [part.start(), part.end()]
}

fn tally(db: &Connection, part: Part) -> Result<Tally> {
    let wire = wire_of(db, part)?;
    let mut tally = Tally::default();
    let mut is_there = db.prepare("SELECT 1 FROM messages WHERE seq = ?1")?;
    for seq in wire.sent.keys() {
        tally.sent += u64::from(is_there.exists([part.start().saturating_add(*seq)])?);
    }
    let sql = "SELECT seq, ambiguous, batch IS NOT NULL FROM returned r
               WHERE r.seq > ?1 AND r.seq <= ?2 AND EXISTS (SELECT 1 FROM messages m WHERE m.seq = r.seq)";
    each(db, sql, range(part), |row| {
        let (seq, ambiguous, in_batch): (i64, bool, bool) = (number_of(row.get(0)?), row.get(1)?, row.get(2)?);
        tally.ambiguous += u64::from(ambiguous);
        let on_wire = wire.sent.contains_key(&seq);
        tally.bound += u64::from(!on_wire && in_batch);
        tally.retrying += u64::from(!on_wire && !in_batch);
        Ok(())
    })?;
    Ok(tally)
}

fn letters(db: &Connection, part: Part) -> Result<Letters> {
    let mut reasons = BTreeMap::new();
    let by_reason = "SELECT CASE WHEN json_valid(failure) THEN json_extract(failure, '$.reason') END, count(*)
                     FROM letters WHERE number > ?1 AND number <= ?2 GROUP BY 1";
    each(db, by_reason, range(part), |row| {
        let reason: Option<String> = row.get(0)?;
        *reasons.entry(reason.unwrap_or_else(|| "damaged".into())).or_insert(0) += whole(row, 1)?;
        Ok(())
    })?;
    let sql = "SELECT count(*), total(bytes), min(at_ms), max(at_ms) FROM letters
               WHERE number > ?1 AND number <= ?2";
    Ok(db.query_row(sql, range(part), |row| {
        Ok(Letters {
            count: whole(row, 0)?,
            bytes: whole(row, 1)?,
            reasons,
            oldest_at_ms: row.get(2)?,
            newest_at_ms: row.get(3)?,
        })
    })?)
}

fn receipts(db: &Connection, part: Part) -> Result<Receipts> {
    let sql = "SELECT total(count), min(at_ms), max(at_ms) FROM deliveries WHERE number > ?1 AND number <= ?2";
    Ok(db.query_row(sql, range(part), |row| {
        Ok(Receipts { count: whole(row, 0)?, oldest_at_ms: row.get(1)?, newest_at_ms: row.get(2)? })
    })?)
}

/// What the dispatcher saves (`dispatcher/persistence/carryover/json.rs`), as far as it is told here.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Saved {
    spent: Vec<(i64, u64)>,
    #[serde(rename = "underWay")]
    under_way: u64,
    pause: Option<SavedPause>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SavedPause {
    since_ms: i64,
    until_ms: Option<i64>,
    #[serde(default)]
    asked_until_ms: Option<i64>,
}

fn budget(db: &Connection, part: Part) -> Result<Option<Budget>> {
    let departed = wire_of(db, part)?.departed_ms.len() as u64;
    let Some(text) = part.meta::<String>(db, "budget")? else {
        let none = Budget { saved_at_ms: None, spent: 0, departed, pause: None, hold: None };
        return Ok((departed > 0).then_some(none));
    };
    let saved_at_ms: Option<i64> = part.meta(db, "budget_ms")?;
    let saved: Saved = serde_json::from_str(&text).unwrap_or_default();
    // Its times are counted from the moment of saving.
    let at = |ms: i64| saved_at_ms.unwrap_or(0).saturating_add(ms);
    Ok(Some(Budget {
        saved_at_ms,
        spent: saved.spent.iter().map(|(_, count)| count).sum::<u64>() + saved.under_way,
        departed,
        pause: saved.pause.map(|pause| Pause {
            since_ms: at(pause.since_ms),
            until_ms: pause.asked_until_ms.or(pause.until_ms).map(at),
        }),
        hold: hold::read(db, part)?.map(|hold| Pause { since_ms: hold.since_ms, until_ms: hold.until_ms }),
    }))
}
