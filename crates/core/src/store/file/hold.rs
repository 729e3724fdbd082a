//! An operator's pause of an organization in the file. It is a part of the budget that the dispatcher saves
//! (`dispatcher/persistence/carryover/json.rs`), whose other parts are kept as they are.

use std::collections::BTreeMap;

use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::fault::{Result, damage};
use super::part::Part;

/// The parts of the saved budget by name. Its times are milliseconds from the moment of saving.
type Parts = BTreeMap<String, Box<RawValue>>;

const HOLD: &str = "hold";
const PAUSE: &str = "pause";

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct SavedHold {
    since_ms: i64,
    #[serde(default)]
    until_ms: Option<i64>,
}

/// A pause that the server asked for: the part of it that decides when the next probe goes.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct SavedPause {
    until_ms: Option<i64>,
    #[serde(default)]
    asked_until_ms: Option<i64>,
    #[serde(flatten)]
    rest: BTreeMap<String, serde_json::Value>,
}

/// Since when and until when, in the file's time; `None` for no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hold {
    pub(super) since_ms: i64,
    pub(super) until_ms: Option<i64>,
}

/// The pause that is in the file.
pub(super) fn read(db: &Connection, of: Part) -> Result<Option<Hold>> {
    let (parts, saved_ms) = saved(db, of)?;
    let at = |ms: i64| saved_ms.unwrap_or(0).saturating_add(ms);
    Ok(part::<SavedHold>(&parts, HOLD)
        .map(|hold| Hold { since_ms: at(hold.since_ms), until_ms: hold.until_ms.map(at) }))
}

/// Begins one, or sets the end of the one that there is; within a transaction.
pub(super) fn begin(db: &Connection, of: Part, now_ms: i64, until_ms: Option<i64>) -> Result<()> {
    let (mut parts, saved_ms) = saved(db, of)?;
    let saved_ms = saved_ms.unwrap_or(now_ms);
    let since_ms = part::<SavedHold>(&parts, HOLD).map_or(now_ms.saturating_sub(saved_ms), |hold| hold.since_ms);
    let until_ms = until_ms.map(|ms| ms.saturating_sub(saved_ms));
    set_part(&mut parts, HOLD, &SavedHold { since_ms, until_ms })?;
    write(db, of, &parts, saved_ms)
}

/// Ends it, and makes the probe of a pause that the server asked for due; within a transaction. Whether there was one
/// to end.
pub(super) fn end(db: &Connection, of: Part, now_ms: i64) -> Result<bool> {
    let (mut parts, saved_ms) = saved(db, of)?;
    let had_one = parts.remove(HOLD).is_some();
    if let Some(pause) = part::<SavedPause>(&parts, PAUSE) {
        let asked_until_ms = pause.asked_until_ms.or(pause.until_ms);
        set_part(&mut parts, PAUSE, &SavedPause { until_ms: None, asked_until_ms, ..pause })?;
    } else if !had_one {
        return Ok(false);
    }
    write(db, of, &parts, saved_ms.unwrap_or(now_ms))?;
    Ok(had_one)
}

/// What makes no sense is no evidence to the next run either.
fn saved(db: &Connection, of: Part) -> Result<(Parts, Option<i64>)> {
    let text: Option<String> = of.meta(db, "budget")?;
    let parts = text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    Ok((parts, of.meta(db, "budget_ms")?))
}

fn part<T: for<'a> Deserialize<'a>>(parts: &Parts, name: &str) -> Option<T> {
    serde_json::from_str(parts.get(name)?.get()).ok()
}

fn set_part(parts: &mut Parts, name: &str, value: &impl Serialize) -> Result<()> {
    let value = serde_json::value::to_raw_value(value).map_err(damage)?;
    parts.insert(name.to_owned(), value);
    Ok(())
}

fn write(db: &Connection, of: Part, parts: &Parts, saved_ms: i64) -> Result<()> {
    of.set_meta(db, "budget", serde_json::to_string(parts).map_err(damage)?)?;
    of.set_meta(db, "budget_ms", saved_ms)
}
