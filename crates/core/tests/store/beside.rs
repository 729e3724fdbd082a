//! What somebody else may put beside a store: nothing is done to a file that isn't ours.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use spillway_core::error::StoreErrorKind;
use spillway_core::store::file::{Editor, Reader};

use crate::fixture::*;

fn beside(path: &Path, suffix: &str) -> PathBuf {
    format!("{}{suffix}", path.display()).into()
}

#[test]
fn nothing_is_done_to_a_file_that_a_link_leads_to() {
    let (directory, path) = place();
    Fixture::open(&path).close();
    let lock = beside(&path, "-lock");
    let other = directory.path().join("other");
    fs::write(&other, "somebody else's").unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o644)).unwrap();
    let nowhere = directory.path().join("nowhere");
    for target in [&other, &nowhere] {
        fs::remove_file(&lock).unwrap();
        symlink(target, &lock).unwrap();
        for error in [Fixture::try_open(options(&path)).err().unwrap(), Editor::open(&path).err().unwrap()] {
            assert_eq!(kind_of(&error), StoreErrorKind::Mismatch);
            let text = error.to_string();
            assert!(text.contains("the name outbox.db-lock") && text.contains("remove that"), "{text}");
        }
        assert_eq!(Reader::open(&path).unwrap().stats().unwrap().owner, None);
    }
    assert_eq!(fs::read_to_string(&other).unwrap(), "somebody else's");
    assert_eq!(fs::metadata(&other).unwrap().mode() & 0o777, 0o644);
    assert!(!nowhere.exists());
    // No link, and no file either.
    fs::remove_file(&lock).unwrap();
    fs::create_dir(&lock).unwrap();
    assert_eq!(kind_of(&Fixture::try_open(options(&path)).err().unwrap()), StoreErrorKind::Mismatch);
    fs::remove_dir(&lock).unwrap();
    Fixture::open(&path).close();
}

#[test]
fn a_link_or_a_pipe_in_the_place_of_the_log_says_nothing_about_the_file() {
    let (directory, path) = place();
    fs::write(&path, "id;state\nm-1;delivered\n").unwrap();
    let (log, other) = (beside(&path, "-wal"), directory.path().join("other"));
    fs::write(&other, [&[0x37, 0x7F, 0x06, 0x82], &[0; 28][..]].concat()).unwrap();
    symlink(&other, &log).unwrap();
    assert_eq!(kind_of(&Fixture::try_open(options(&path)).err().unwrap()), StoreErrorKind::Mismatch);
    fs::remove_file(&log).unwrap();
    // Nobody writes to it, and nobody is waited for.
    assert!(Command::new("mkfifo").arg(&log).status().unwrap().success());
    assert_eq!(kind_of(&Fixture::try_open(options(&path)).err().unwrap()), StoreErrorKind::Mismatch);
}

#[test]
fn a_store_that_links_lead_to_has_one_lock() {
    let (directory, path) = place();
    let links = directory.path().join("links");
    fs::create_dir(&links).unwrap();
    // One through the other, and the file isn't there yet.
    symlink("../outbox.db", links.join("near.db")).unwrap();
    symlink(links.join("near.db"), links.join("far.db")).unwrap();
    let mut fixture = Fixture::open(&links.join("far.db"));
    let at = fixture.now();
    fixture.store.apply(inserts(1..=3, at));
    fixture.settled(3);
    for name in [&path, &links.join("near.db"), &links.join("far.db")] {
        let stats = Reader::open(name).unwrap().stats().unwrap();
        assert_eq!((stats.owner, stats.messages.count), (Some(std::process::id()), 3), "{}", name.display());
    }
    // A log that is lost is noticed.
    fs::rename(beside(&path, "-wal"), links.join("log")).unwrap();
    fixture.store.apply(vec![insert(4, at)]);
    fixture.until(|fixture| fixture.degraded.len() == 1);
    assert_eq!(kind_of(&fixture.degraded[0]), StoreErrorKind::Missing);
    fixture.until(|fixture| fixture.restored == 1);
    fixture.close();
    assert_eq!(fs::read_dir(&links).unwrap().count(), 3, "two links and the log");
    let fixture = Fixture::open(&path);
    assert_eq!(seqs(&fixture.found), [1, 2, 3]);
    fixture.close();
    // A circle leads nowhere.
    symlink("circle.db", links.join("circle.db")).unwrap();
    assert_eq!(kind_of(&Fixture::try_open(options(&links.join("circle.db"))).err().unwrap()), StoreErrorKind::Mismatch);
}

#[test]
fn what_root_makes_is_given_to_the_owner_of_the_file_and_nothing_else_is() {
    let (_directory, path) = place();
    Fixture::open(&path).close();
    let lock = beside(&path, "-lock");
    // Only root can try.
    if chown(&path, Some(54_321), Some(54_321)).is_err() {
        return;
    }
    drop(Editor::open(&path).unwrap());
    assert_ne!(fs::metadata(&lock).unwrap().uid(), 54_321, "it was there before");
    fs::remove_file(&lock).unwrap();
    drop(Editor::open(&path).unwrap());
    assert_eq!(fs::metadata(&lock).unwrap().uid(), 54_321);
}
