//! `store`: where accepted messages live.

use std::path::PathBuf;

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

const RULE: &str =
    "\"memory\" or \"file:PATH\", with \"?durability=process-crash\" behind it for less than the default, power-loss";

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
    let durability = match query {
        "" | "durability=power-loss" => Durability::PowerLoss,
        "durability=process-crash" => Durability::ProcessCrash,
        _ => return Err(root.refuse("store", RULE)),
    };
    // As in a URL, `file:///var/x` is the file `/var/x`.
    let path = path.strip_prefix("//").filter(|path| path.starts_with('/')).unwrap_or(path);
    if path.is_empty() || path.ends_with('/') || path.contains('\0') {
        return Err(root.refuse("store", RULE));
    }
    // Of the moment of opening: the process may change its directory later.
    let path = std::path::absolute(path).map_err(|_| root.refuse("store", RULE))?;
    Ok(StoreSettings::File { path, durability })
}
