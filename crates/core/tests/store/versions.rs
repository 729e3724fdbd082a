//! Files of every version of the schema, as SQL: this one reads them all, and goes on in them.

use std::time::Duration;

use spillway_core::error::StoreErrorKind;
use spillway_core::store::Row;
use spillway_core::store::file::{Editor, Options, Reader};

use crate::fixture::*;

/// From version 3 on: the first that is read.
const VERSIONS: [&str; 1] = [include_str!("versions/3.sql")];

/// Longer than any file of a test is old.
const FOR_EVER: Duration = Duration::from_secs(1_000 * 365 * 86_400);

#[test]
fn a_file_of_any_version_is_read_and_goes_on() {
    for (sql, version) in VERSIONS.iter().zip(3..) {
        let (_directory, path) = place();
        rusqlite::Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        let mut fixture = Fixture::try_open(Options { dedupe: FOR_EVER, ..options(&path) }).unwrap();
        assert!(fixture.opening.salvage.set_aside.is_none(), "version {version}");
        assert_eq!((seqs(&fixture.found), fixture.opening.last_seq), (vec![3, 4, 5], 5));
        let (Row::Waiting(later), Row::Started(tried)) = (&fixture.found[0], &fixture.found[1]) else {
            panic!("version {version}: {:?}", fixture.found)
        };
        assert_eq!((&*later.id, later.priority, later.expires_at.is_some()), ("later", 3, true));
        assert_eq!((tried.message.id(), tried.attempts, tried.sent, tried.ambiguous), ("tried", 3, false, false));
        assert_eq!(
            (letters(&fixture.found), settled_ids(&fixture.found)),
            (vec!["dead".into()], vec!["delivered".into()])
        );
        assert!(fixture.opening.budget.as_deref().is_some_and(|budget| budget.contains("spent")));
        assert_eq!(fixture.opening.departed.len(), 4);
        let loaded = fixture.load(&[3, 4, 5]);
        let bodies: Vec<_> = loaded.iter().flatten().map(|record| record.message.body()).collect();
        assert_eq!(bodies, ["{\"text\":\"größer\"}", "{\"text\":\"four\"}", "{\"text\":\"five\"}"]);
        let at = fixture.now();
        fixture.store.apply(vec![insert(6, at)]);
        fixture.settled(1);
        fixture.close();
        assert!(Reader::open(&path).unwrap().check().unwrap().ok, "version {version}");
        assert_eq!(Editor::open(&path).unwrap().redrive("dead").unwrap(), 7);
        let fixture = Fixture::open(&path);
        assert_eq!(seqs(&fixture.found), [3, 4, 5, 6, 7]);
        fixture.close();
    }
}

#[test]
fn a_file_of_a_build_before_any_release_is_refused_and_left_whether_or_not_it_is_damaged() {
    for damaged_page in [None, Some(4), Some(1), Some(3)] {
        let (directory, path) = place();
        let db = rusqlite::Connection::open(&path).unwrap();
        db.execute_batch(VERSIONS[0]).unwrap();
        db.execute_batch(
            "PRAGMA user_version = 1; REPLACE INTO meta VALUES ('schema', 1); PRAGMA journal_mode = DELETE",
        )
        .unwrap();
        drop(db);
        let mut bytes = std::fs::read(&path).unwrap();
        if let Some(page) = damaged_page {
            // The application's mark stays where it is the header that is damaged.
            bytes[(page - 1) * 4_096 + 100..page * 4_096].fill(0xAA);
            std::fs::write(&path, &bytes).unwrap();
        }
        let error = Fixture::try_open(options(&path)).err().unwrap();
        assert_eq!(kind_of(&error), StoreErrorKind::Version, "page {damaged_page:?}: {error}");
        let text = error.to_string();
        assert!(text.contains("schema 1") && text.contains("the build that wrote it"), "page {damaged_page:?}: {text}");
        assert!(!text.contains("choose another path") && !text.contains("move"), "it must not hide what was accepted");
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "page {damaged_page:?}");
        let names = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let aside: Vec<_> = names.filter(|name| name.to_string_lossy().contains(".corrupt-")).collect();
        assert!(aside.is_empty(), "page {damaged_page:?}: {aside:?}");
    }
}
