//! What became of a damaged file is told until a run that has told it is closed, whoever finished the exchange and
//! whenever the process died.

use std::fs;
use std::path::{Path, PathBuf};

use crate::rig::*;

fn named(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

/// A damaged file at `path`, and what is recovered of it, as the file that takes its place: told to nobody.
fn recovered_of(path: &Path) -> Vec<u8> {
    let mut rig = Rig::open(path);
    let at = rig.now();
    rig.store.apply(inserts(1..=500, at));
    rig.settled(500);
    rig.close();
    let mut bytes = fs::read(path).unwrap();
    let leaf = (bytes.len() / 4_096 / 2..).find(|page| bytes[page * 4_096] == 13).unwrap();
    bytes[leaf * 4_096..(leaf + 1) * 4_096].fill(0);
    let (_directory, copy) = place();
    fs::write(&copy, &bytes).unwrap();
    fs::write(path, &bytes).unwrap();
    for suffix in ["-wal", "-shm"] {
        let _ = fs::remove_file(named(path, suffix));
    }
    let rig = Rig::open(&copy);
    assert!(
        rig.opening.salvage.set_aside.is_some()
            && rig.opening.salvage.unreadable > 0
            && rig.opening.salvage.unreadable_parts == 1
    );
    // As a killed process leaves it.
    let (_killed, killed) = place();
    for suffix in ["", "-wal"] {
        fs::copy(named(&copy, suffix), named(&killed, suffix)).unwrap();
    }
    rig.close();
    rusqlite::Connection::open(&killed).unwrap().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    fs::read(&killed).unwrap()
}

#[test]
fn what_a_killed_run_has_not_told_the_next_one_tells() {
    let (_directory, path) = place();
    let recovered = recovered_of(&path);
    // The exchange is finished, or was only begun.
    for is_finished in [true, false] {
        let (_directory, next) = place();
        if is_finished {
            fs::write(&next, &recovered).unwrap();
        } else {
            fs::write(&next, fs::read(&path).unwrap()).unwrap();
            fs::write(named(&next, ".recovered-then"), &recovered).unwrap();
        }
        let rig = Rig::open(&next);
        let aside = rig.aside().unwrap();
        assert!(aside.to_string_lossy().contains("outbox.db.corrupt-"), "{aside:?}");
        assert!(rig.opening.salvage.unreadable > 0 && rig.opening.salvage.unreadable_parts == 1);
        assert_eq!(seqs(&rig.found).len() as u64, 500 - rig.opening.salvage.unreadable);
        rig.close();
        let rig = Rig::open(&next);
        assert!(rig.opening.salvage.set_aside.is_none(), "told once");
        assert_eq!((rig.opening.salvage.unreadable, rig.opening.salvage.unreadable_parts), (0, 0));
        rig.close();
    }
}

#[test]
fn an_outdated_copy_does_not_replace_a_file_that_was_used_since() {
    let (_directory, path) = place();
    let recovered = recovered_of(&path);
    let (_directory, next) = place();
    let mut rig = Rig::open(&next);
    let at = rig.now();
    rig.store.apply(inserts(600..=700, at));
    rig.settled(101);
    rig.close();
    fs::write(named(&next, ".recovered-then"), &recovered).unwrap();
    let rig = Rig::open(&next);
    assert_eq!(seqs(&rig.found), (600..=700).collect::<Vec<_>>());
    assert_eq!(rig.aside(), Some(named(&next, ".outdated-then")), "told where it lies");
    assert_eq!(fs::read(named(&next, ".outdated-then")).unwrap(), recovered);
    assert!(!named(&next, ".recovered-then").exists() && !named(&next, ".corrupt-then").exists());
    rig.close();
}
