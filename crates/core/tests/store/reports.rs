//! What became of a damaged file is told until a run that has told it is closed, whoever finished the exchange and
//! whenever the process died.

use std::fs;
use std::path::{Path, PathBuf};

use crate::fixture::*;

fn named(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

/// A damaged file at `path`, and what is recovered of it, as the file that takes its place: told to nobody.
fn recovered_of(path: &Path) -> Vec<u8> {
    let mut fixture = Fixture::open(path);
    let at = fixture.now();
    fixture.store.apply(inserts(1..=500, at));
    fixture.settled(500);
    fixture.close();
    let mut bytes = fs::read(path).unwrap();
    let leaf = (bytes.len() / 4_096 / 2..).find(|page| bytes[page * 4_096] == 13).unwrap();
    bytes[leaf * 4_096..(leaf + 1) * 4_096].fill(0);
    let (_directory, copy) = place();
    fs::write(&copy, &bytes).unwrap();
    fs::write(path, &bytes).unwrap();
    for suffix in ["-wal", "-shm"] {
        let _ = fs::remove_file(named(path, suffix));
    }
    let fixture = Fixture::open(&copy);
    assert!(
        fixture.opening.salvage.set_aside.is_some()
            && fixture.opening.salvage.unreadable > 0
            && fixture.opening.salvage.unreadable_parts == 1
    );
    // As a killed process leaves it.
    let (_killed, killed) = place();
    for suffix in ["", "-wal"] {
        fs::copy(named(&copy, suffix), named(&killed, suffix)).unwrap();
    }
    fixture.close();
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
        let fixture = Fixture::open(&next);
        let aside = fixture.aside().unwrap();
        assert!(aside.to_string_lossy().contains("outbox.db.corrupt-"), "{aside:?}");
        assert!(fixture.opening.salvage.unreadable > 0 && fixture.opening.salvage.unreadable_parts == 1);
        assert_eq!(seqs(&fixture.found).len() as u64, 500 - fixture.opening.salvage.unreadable);
        fixture.close();
        let fixture = Fixture::open(&next);
        assert!(fixture.opening.salvage.set_aside.is_none(), "told once");
        assert_eq!((fixture.opening.salvage.unreadable, fixture.opening.salvage.unreadable_parts), (0, 0));
        fixture.close();
    }
}

#[test]
fn an_outdated_copy_does_not_replace_a_file_that_was_used_since() {
    let (_directory, path) = place();
    let recovered = recovered_of(&path);
    let (_directory, next) = place();
    let mut fixture = Fixture::open(&next);
    let at = fixture.now();
    fixture.store.apply(inserts(600..=700, at));
    fixture.settled(101);
    fixture.close();
    fs::write(named(&next, ".recovered-then"), &recovered).unwrap();
    let fixture = Fixture::open(&next);
    assert_eq!(seqs(&fixture.found), (600..=700).collect::<Vec<_>>());
    assert_eq!(fixture.aside(), Some(named(&next, ".outdated-then")), "told where it lies");
    assert_eq!(fs::read(named(&next, ".outdated-then")).unwrap(), recovered);
    assert!(!named(&next, ".recovered-then").exists() && !named(&next, ".corrupt-then").exists());
    fixture.close();
}
