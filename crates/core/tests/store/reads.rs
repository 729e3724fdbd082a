//! Reads fail for a moment: at an opening, while messages flow, while a damaged file is replaced. That is no damage: it
//! is waited for, nothing is lost, and nothing is set aside that is whole.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use spillway_core::error::StoreErrorKind;
use spillway_core::store::file::Options;
use spillway_core::store::{Change, StoreEvent};
use spillway_powercut::{Disk, ReadFailure, VFS, install, read_at};

use crate::fixture::*;

const BURST: u64 = 6;

fn faulty(path: &Path) -> Options {
    Options { vfs: Some(VFS.into()), read_at, patience: Duration::from_secs(20), ..options(path) }
}

/// A closed store of messages that need pages of their own.
fn written(path: &Path, messages: u64) {
    let mut fixture = Fixture::open(path);
    let at = fixture.now();
    let insertion = |seq| Change::Insert { entry_id: 0, record: Box::new(sized(seq, at, 6_000)) };
    fixture.store.apply((1..=messages).map(insertion).collect());
    fixture.store.apply(vec![depart(1, at), deliver(2, at), bury(3, at)]);
    fixture.settled(messages + 3);
    fixture.close();
}

fn copies(path: &Path) -> Vec<PathBuf> {
    let names = fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    names
        .filter(|name| [".corrupt", ".recover", ".outdated"].iter().any(|part| name.to_string_lossy().contains(part)))
        .collect()
}

/// All at once: they wait more than they work.
fn for_each_failure(test: impl Fn(ReadFailure) + Sync) {
    std::thread::scope(|scope| {
        for failure in ReadFailure::ALL {
            let test = &test;
            scope.spawn(move || test(failure));
        }
    });
}

#[test]
fn reads_that_fail_at_an_opening_are_waited_for() {
    install();
    let (_original, original) = place();
    written(&original, 12);
    // As a killed process leaves it, so that all of it is looked at.
    rusqlite::Connection::open(&original).unwrap().execute_batch("REPLACE INTO meta VALUES ('clean', 0)").unwrap();
    let sound = fs::read(&original).unwrap();
    for_each_failure(|failure| {
        let mut reached = 0;
        for from in (1..).step_by(5) {
            let (directory, path) = place();
            fs::write(&path, &sound).unwrap();
            let disk = Disk::of(directory.path());
            disk.fail_reads(from..from + BURST, failure);
            let mut fixture =
                Fixture::try_open(faulty(&path)).unwrap_or_else(|error| panic!("{failure:?} at {from}: {error}"));
            let failed = disk.failed_reads();
            assert_eq!(seqs(&fixture.found), [vec![1], (4..=12).collect()].concat(), "{failure:?} at {from}");
            assert_eq!(
                (sent(&fixture.found), letters(&fixture.found).len(), settled_ids(&fixture.found).len()),
                (vec![1], 1, 1)
            );
            assert!(fixture.opening.salvage.set_aside.is_none() && copies(&path).is_empty(), "{failure:?} at {from}");
            disk.mend();
            assert!(fixture.load(&(4..=12).collect::<Vec<_>>()).iter().all(Option::is_some), "{failure:?} at {from}");
            fixture.close();
            disk.forget();
            reached += u64::from(failed > 0);
            if failed == 0 {
                break;
            }
        }
        assert!(reached > 5, "{failure:?}: {reached}");
    });
}

#[test]
fn reads_that_fail_while_an_outbox_is_made_leave_it_as_any_other() {
    install();
    for_each_failure(|failure| {
        for from in 1.. {
            let (directory, path) = place();
            let disk = Disk::of(directory.path());
            disk.fail_reads(from..from + 1, failure);
            let mut fixture =
                Fixture::try_open(faulty(&path)).unwrap_or_else(|error| panic!("{failure:?} at {from}: {error}"));
            let failed = disk.failed_reads();
            disk.mend();
            let at = fixture.now();
            fixture.store.apply(vec![insert(1, at)]);
            fixture.settled(1);
            assert_eq!(
                (fixture.kept.len(), fixture.degraded.len()),
                (1, 0),
                "{failure:?} at {from}: {:?}",
                fixture.degraded
            );
            fixture.close();
            disk.forget();
            if failed == 0 {
                assert!(from > 5, "{failure:?}: {from}");
                break;
            }
        }
    });
}

#[test]
fn an_opening_that_fails_leaves_the_file_as_it_is() {
    install();
    for failure in ReadFailure::ALL {
        let (directory, path) = place();
        written(&path, 40);
        let bytes = fs::read(&path).unwrap();
        let disk = Disk::of(directory.path());
        disk.fail_reads(1..u64::MAX, failure);
        let outcome = Fixture::try_open(Options { patience: Duration::from_millis(200), ..faulty(&path) });
        assert_eq!(kind_of(&outcome.err().unwrap()), StoreErrorKind::Failed, "{failure:?}");
        assert!(fs::read(&path).unwrap() == bytes && copies(&path).is_empty(), "{failure:?}");
        disk.mend();
        let fixture = Fixture::try_open(faulty(&path)).unwrap();
        assert_eq!(seqs(&fixture.found).len(), 38, "{failure:?}");
        assert!(fixture.opening.salvage.set_aside.is_none());
        fixture.close();
        disk.forget();
    }
}

#[test]
fn reads_that_fail_while_messages_flow_lose_nothing() {
    install();
    for failure in ReadFailure::ALL {
        for burst in [1, BURST, u64::MAX / 2] {
            let (directory, path) = place();
            written(&path, 200);
            let disk = Disk::of(directory.path());
            let fixture = Fixture::try_open(faulty(&path)).unwrap();
            let at = fixture.now();
            disk.fail_reads(disk.reads() + 2..disk.reads() + 2 + burst, failure);
            let asked: Vec<u64> = (4..=200).collect();
            fixture.store.load(asked.iter().map(|seq| (0, *seq)).collect());
            fixture.store.apply((10..=150).map(|seq| deliver(seq, at)).collect());
            let (mut loaded, mut done) = (None, 0);
            // A disk that never recovers by itself is mended once the store has said so.
            while loaded.is_none() || done < 141 {
                match fixture.news.recv_timeout(PATIENCE).unwrap() {
                    StoreEvent::Loaded(records) => {
                        loaded = Some(records.into_iter().filter(|(.., record)| record.is_ok()).count())
                    }
                    StoreEvent::Committed { up_to, .. } => done = up_to,
                    StoreEvent::Degraded(_) => disk.mend(),
                    StoreEvent::Restored(salvage) => assert!(salvage.set_aside.is_none(), "{failure:?}, {burst}"),
                    other => panic!("{other:?}"),
                }
            }
            assert!(disk.failed_reads() > 0);
            disk.mend();
            // All that were asked for before they were delivered; or those that had not been, when the disk could be
            // read again.
            assert!(matches!(loaded, Some(197 | 56)), "{failure:?}, {burst}: {loaded:?}");
            fixture.close();
            let fixture = Fixture::try_open(faulty(&path)).unwrap();
            assert_eq!(
                seqs(&fixture.found),
                [vec![1], (4..=9).collect(), (151..=200).collect()].concat(),
                "{failure:?}, {burst}"
            );
            assert!(fixture.opening.salvage.set_aside.is_none() && copies(&path).is_empty());
            fixture.close();
            disk.forget();
        }
    }
}

/// The check of a file that wasn't closed and the rows, until the damage is found; the same in the other order, to make
/// sure; two by the salvage, whose pages lead to each other; and the bytes, before and after that.
const READINGS_MAX: u64 = 7;

#[cfg(target_os = "linux")]
#[test]
fn a_damaged_file_is_read_as_often_as_it_takes_to_be_sure_and_no_more() {
    install();
    let (_original, original) = place();
    written(&original, 300);
    // As a killed process leaves it, so that all of it is looked at.
    rusqlite::Connection::open(&original).unwrap().execute_batch("REPLACE INTO meta VALUES ('clean', 0)").unwrap();
    let sound = fs::read(&original).unwrap();
    for page in (0..sound.len() / 4_096).step_by(67) {
        let (directory, path) = place();
        let mut bytes = sound.clone();
        bytes[page * 4_096..(page + 1) * 4_096].fill(0xAA);
        fs::write(&path, &bytes).unwrap();
        let disk = Disk::of(directory.path());
        let fixture = Fixture::try_open(faulty(&path)).unwrap();
        assert!(fixture.opening.salvage.set_aside.is_some(), "page {page}");
        let read = disk.read_bytes(&path);
        assert!(read < READINGS_MAX * sound.len() as u64, "page {page}: {read} of {}", sound.len());
        fixture.close();
        disk.forget();
    }
}

#[test]
fn reads_that_fail_in_a_salvage_begin_it_again() {
    install();
    let (_original, original) = place();
    written(&original, 12);
    let mut bytes = fs::read(&original).unwrap();
    // The root of the messages: all are on pages below it.
    bytes[3 * 4_096..4 * 4_096].fill(0xAA);
    for_each_failure(|failure| {
        let mut reached = 0;
        for from in (1..).step_by(17) {
            let (directory, path) = place();
            fs::write(&path, &bytes).unwrap();
            let disk = Disk::of(directory.path());
            disk.fail_reads(from..from + BURST, failure);
            let mut fixture =
                Fixture::try_open(faulty(&path)).unwrap_or_else(|error| panic!("{failure:?} at {from}: {error}"));
            let failed = disk.failed_reads();
            assert_eq!(seqs(&fixture.found), [vec![1], (4..=12).collect()].concat(), "{failure:?} at {from}");
            assert_eq!(
                (fixture.opening.salvage.unreadable, fixture.opening.salvage.unreadable_parts),
                (0, 0),
                "{failure:?} at {from}"
            );
            assert!(fs::read(fixture.aside().unwrap()).unwrap() == bytes);
            disk.mend();
            assert!(fixture.load(&(4..=12).collect::<Vec<_>>()).iter().all(Option::is_some), "{failure:?} at {from}");
            fixture.close();
            disk.forget();
            reached += u64::from(failed > 0);
            if failed == 0 {
                break;
            }
        }
        assert!(reached > 5, "{failure:?}: {reached}");
    });
}
