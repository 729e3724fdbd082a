//! `store`: where accepted messages live.

use std::path::PathBuf;
use std::time::Duration;

use super::reader::Reader;
use crate::error::Error;

/// Where accepted messages live, and so what they survive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreSettings {
    /// In the process: all its worker threads share it, and it ends with the process.
    Memory,
    /// In a file: it survives the process and, by default, the machine's power.
    File {
        /// The file; its companions lie beside it.
        path: PathBuf,
        /// What an accepted message survives.
        durability: Durability,
        /// How long opening waits for another owner to close it.
        lock_wait: Duration,
    },
}

/// What an accepted message survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// A power cut: the disk has confirmed it.
    #[default]
    PowerLoss,
    /// The end of the process, however it comes: the operating system has it.
    ProcessCrash,
}

impl StoreSettings {
    /// Whether messages outlive the process.
    pub fn is_durable(&self) -> bool {
        *self != Self::Memory
    }
}

const RULE: &str = "\"memory\" or \"file:PATH\", with \"?durability=process-crash\" behind it for less than the default, \
    power-loss, and \"?wait=10s\" to wait for another process to close it; both with \"&\" between them";

const WAIT_RULE: &str =
    "a whole number of ms, s or min behind \"wait=\", up to 10 minutes, such as \"file:PATH?wait=10s\"";
/// Whoever waits longer than this had better look why.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(600);

pub(super) fn read(root: &Reader<'_>) -> Result<StoreSettings, Error> {
    let Some(text) = root.text("store", 4_096)? else {
        return Err(root.refuse("store", format_args!("{RULE}; it must be chosen, since it decides what survives")));
    };
    match text.split_once(':') {
        None if text == "memory" => Ok(StoreSettings::Memory),
        Some(("file", rest)) => file(root, rest),
        Some(("redis" | "rediss", _)) => Err(Error::config(
            "store",
            "\"redis:\" is not available in this version: use \"file:PATH\", or \"memory\", which ends with the process",
        )),
        _ => Err(root.refuse("store", RULE)),
    }
}

fn file(root: &Reader<'_>, rest: &str) -> Result<StoreSettings, Error> {
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (mut durability, mut lock_wait) = (None, None);
    for option in query.split('&').filter(|_| !query.is_empty()) {
        let is_new = match option.split_once('=') {
            Some(("durability", "power-loss")) => durability.replace(Durability::PowerLoss).is_none(),
            Some(("durability", "process-crash")) => durability.replace(Durability::ProcessCrash).is_none(),
            Some(("wait", text)) => match wait(text) {
                Some(wait) => lock_wait.replace(wait).is_none(),
                None => return Err(root.refuse("store", WAIT_RULE)),
            },
            _ => false,
        };
        if !is_new {
            return Err(root.refuse("store", RULE));
        }
    }
    let (durability, lock_wait) = (durability.unwrap_or_default(), lock_wait.unwrap_or_default());
    // As in a URL, `file:///var/x` is the file `/var/x`.
    let path = path.strip_prefix("//").filter(|path| path.starts_with('/')).unwrap_or(path);
    if path.is_empty() || path.ends_with('/') || path.contains('\0') {
        return Err(root.refuse("store", RULE));
    }
    // Of the moment of opening: the process may change its directory later.
    let path = std::path::absolute(path).map_err(|error| {
        let problem =
            format!("is relative to the working directory, which can't be told ({error}); give an absolute path");
        Error::config("store", problem)
    })?;
    Ok(StoreSettings::File { path, durability, lock_wait })
}

fn wait(text: &str) -> Option<Duration> {
    let digits = text.len() - text.trim_start_matches(|character: char| character.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let wait = match unit {
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        "min" => Duration::from_secs(number.checked_mul(60)?),
        _ => return None,
    };
    (wait <= LOCK_WAIT_MAX).then_some(wait)
}
