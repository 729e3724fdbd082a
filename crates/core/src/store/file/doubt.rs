//! Damage is doubted before it is believed: a cable, a network or a controller may give wrong bytes for half a second.
//! (Reads that fail are errors and no damage, see `spillway_vfs`.)
//!
//! A file is damaged if two connections find it so with time between them, and if all of it can be read without an
//! error before the second one and after the salvage, with the same bytes.

use std::path::Path;
use std::time::Duration;

use super::companion::companion;
use super::connection;
use super::fault::Result;
use super::file_time::FileTime;
use super::opened;
use super::options::Options;
use super::organizations;
use super::progress::Progress;
use super::recover::{self, Readout};
use super::salvage;
use super::second_look::pause;
use crate::clock::Clock;

/// The fingerprint of a file that has seemed to be damaged, if it is; the salvage compares it with what it has read.
/// Nobody may write to the file meanwhile.
pub(super) fn damaged(path: &Path, options: &Options, clock: &Clock) -> Result<Option<String>> {
    let bytes = salvage::fingerprint(path, &companion(path, "-wal"), options)?;
    pause(options);
    match inspect(path, options, clock) {
        Err(fault) if fault.is_corrupt() => Ok(Some(bytes)),
        outcome => outcome.map(|()| None),
    }
}

/// Looks at everything that an opening looks at, and at what only writing comes upon.
fn inspect(path: &Path, options: &Options, clock: &Clock) -> Result<()> {
    let db = opened::connect(path, options)?;
    // Without the texts, so first: it is the smaller part, and the one with the most to find.
    let time = FileTime::of(&db, clock)?;
    for part in organizations::whole(&db)?.into_values() {
        let readout = Readout { part, time: &time, dedupe: Duration::MAX, lenient: false };
        recover::tell_all(&db, &readout, &mut Progress::default(), &mut |_| {})?;
        opened::remembered(&db, part, &time)?;
    }
    connection::check_whole(&db, "integrity_check")
}
