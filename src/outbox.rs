//! `outboxFile`: a look into the file of a store, and the few changes that may be made to one without a sender. For the
//! command line, which is a process of its own: it may wait for the disk.

use std::path::{Path, PathBuf};

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
        organization: Option<String>,
        after: u64,
        bodies: bool,
    },
    Letters {
        path: PathBuf,
        organization: Option<String>,
        after: u64,
        bodies: bool,
    },
    Receipts {
        path: PathBuf,
        organization: Option<String>,
        after: u64,
    },
    Find {
        path: PathBuf,
        organization: Option<String>,
        id: String,
        bodies: bool,
    },
    Stats {
        path: PathBuf,
        organization: Option<String>,
    },
    Check {
        path: PathBuf,
    },
    Redrive {
        path: PathBuf,
        organization: Option<String>,
        id: String,
    },
    #[serde(rename_all = "camelCase")]
    RedriveAll {
        path: PathBuf,
        organization: Option<String>,
        reason: Option<String>,
        status: Option<u16>,
        since_ms: Option<i64>,
    },
    #[serde(rename_all = "camelCase")]
    Pause {
        path: PathBuf,
        organization: Option<String>,
        until_ms: Option<i64>,
    },
    Resume {
        path: PathBuf,
        organization: Option<String>,
    },
    Drop {
        path: PathBuf,
        organization: Option<String>,
        id: String,
    },
    Backup {
        path: PathBuf,
        target: PathBuf,
    },
    #[serde(rename_all = "camelCase")]
    MarkSent {
        path: PathBuf,
        organization: Option<String>,
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
        Op::Messages { path, organization, after, bodies } => {
            Ok(text(&reader(&path, organization)?.messages(after, texts(bodies))?))
        }
        Op::Letters { path, organization, after, bodies } => {
            Ok(text(&reader(&path, organization)?.letters(after, texts(bodies))?))
        }
        Op::Receipts { path, organization, after } => Ok(text(&reader(&path, organization)?.receipts(after)?)),
        Op::Find { path, organization, id, bodies } => {
            Ok(text(&reader(&path, organization)?.find(&id, texts(bodies))?))
        }
        Op::Stats { path, organization } => Ok(text(&reader(&path, organization)?.stats()?)),
        Op::Check { path } => Ok(text(&reader(&path, None)?.check()?)),
        Op::Redrive { path, organization, id } => {
            Ok(text(&json!({ "seq": editor(&path, organization)?.redrive(&id)? })))
        }
        Op::RedriveAll { path, organization, reason, status, since_ms } => {
            let filter = LetterFilter { reason: reason_of(reason.as_deref())?, status, since: since_ms };
            Ok(text(&editor(&path, organization)?.redrive_all(filter)?))
        }
        Op::Pause { path, organization, until_ms } => Ok(text(&editor(&path, organization)?.pause(until_ms)?)),
        Op::Resume { path, organization } => Ok(text(&json!({ "resumed": editor(&path, organization)?.resume()? }))),
        Op::Backup { path, target } => Ok(text(&json!({ "bytes": file::backup(&path, &target)? }))),
        Op::MarkSent { path, organization, until_ms } => Ok(text(&editor(&path, organization)?.mark_sent(until_ms)?)),
        Op::SetAside { path } => Ok(text(&file::set_aside(&path)?)),
        Op::Discard { path, name } => Ok(text(&file::discard(&path, name.as_deref())?)),
        Op::Drop { path, organization, id } => Ok(text(&editor(&path, organization)?.drop_letter(&id)?)),
    }
}

fn reader(path: &Path, organization: Option<String>) -> std::result::Result<Reader, Error> {
    Ok(Reader::open(path)?.of(organization.as_deref()))
}

fn editor(path: &Path, organization: Option<String>) -> std::result::Result<Editor, Error> {
    Editor::open_for(path, organization.as_deref())
}

fn texts(bodies: bool) -> Texts {
    if bodies { Texts::Shown } else { Texts::Hidden }
}

/// Our own shapes are JSON: there is nothing in them that could not be.
fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
