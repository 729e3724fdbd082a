//! `outboxFile`: a look into the file of a store, and the few changes that may be made to one without a sender. For the
//! command line, which is a process of its own: it may wait for the disk.

use std::path::PathBuf;

use napi::Result;
use napi_derive::napi;
use serde::{Deserialize, Serialize};
use serde_json::json;
use spillway_core::error::Error;
use spillway_core::outcome::LetterFilter;
use spillway_core::store::file::{self, Editor, Reader, Texts};

use crate::errors::thrown;
use crate::ops::reason_of;

#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "camelCase")]
enum Op {
    Messages {
        path: PathBuf,
        after: u64,
        bodies: bool,
    },
    Letters {
        path: PathBuf,
        after: u64,
        bodies: bool,
    },
    Receipts {
        path: PathBuf,
        after: u64,
    },
    Find {
        path: PathBuf,
        id: String,
        bodies: bool,
    },
    Stats {
        path: PathBuf,
    },
    Check {
        path: PathBuf,
    },
    Redrive {
        path: PathBuf,
        id: String,
    },
    #[serde(rename_all = "camelCase")]
    RedriveAll {
        path: PathBuf,
        reason: Option<String>,
        status: Option<u16>,
        since_ms: Option<i64>,
    },
    #[serde(rename_all = "camelCase")]
    Pause {
        path: PathBuf,
        until_ms: Option<i64>,
    },
    Resume {
        path: PathBuf,
    },
    Drop {
        path: PathBuf,
        id: String,
    },
    Backup {
        path: PathBuf,
        target: PathBuf,
    },
    #[serde(rename_all = "camelCase")]
    MarkSent {
        path: PathBuf,
        until_ms: i64,
    },
    SetAside {
        path: PathBuf,
    },
    Discard {
        path: PathBuf,
        name: Option<String>,
    },
}

/// Does what `request` asks for, as JSON, and gives the answer as JSON.
#[napi(catch_unwind)]
pub fn outbox_file(request: String) -> Result<String> {
    let op = serde_json::from_str(&request).map_err(|error| napi::Error::from_reason(error.to_string()))?;
    perform(op).map_err(|error| thrown(&error))
}

fn perform(op: Op) -> std::result::Result<String, Error> {
    match op {
        Op::Messages { path, after, bodies } => Ok(text(&Reader::open(&path)?.messages(after, texts(bodies))?)),
        Op::Letters { path, after, bodies } => Ok(text(&Reader::open(&path)?.letters(after, texts(bodies))?)),
        Op::Receipts { path, after } => Ok(text(&Reader::open(&path)?.receipts(after)?)),
        Op::Find { path, id, bodies } => Ok(text(&Reader::open(&path)?.find(&id, texts(bodies))?)),
        Op::Stats { path } => Ok(text(&Reader::open(&path)?.stats()?)),
        Op::Check { path } => Ok(text(&Reader::open(&path)?.check()?)),
        Op::Redrive { path, id } => Ok(text(&json!({ "seq": Editor::open(&path)?.redrive(&id)? }))),
        Op::RedriveAll { path, reason, status, since_ms } => {
            let filter = LetterFilter { reason: reason_of(reason.as_deref())?, status, since: since_ms };
            Ok(text(&Editor::open(&path)?.redrive_all(filter)?))
        }
        Op::Pause { path, until_ms } => Ok(text(&Editor::open(&path)?.pause(until_ms)?)),
        Op::Resume { path } => Ok(text(&json!({ "resumed": Editor::open(&path)?.resume()? }))),
        Op::Backup { path, target } => Ok(text(&json!({ "bytes": file::backup(&path, &target)? }))),
        Op::MarkSent { path, until_ms } => Ok(text(&Editor::open(&path)?.mark_sent(until_ms)?)),
        Op::SetAside { path } => Ok(text(&file::set_aside(&path)?)),
        Op::Discard { path, name } => Ok(text(&file::discard(&path, name.as_deref())?)),
        Op::Drop { path, id } => Ok(text(&Editor::open(&path)?.drop_letter(&id)?)),
    }
}

fn texts(bodies: bool) -> Texts {
    if bodies { Texts::Shown } else { Texts::Hidden }
}

/// Our own shapes are JSON: there is nothing in them that could not be.
fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
