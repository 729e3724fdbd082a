//! Files of every version of the schema, as SQL: this one reads them all, and goes on in them.

use std::time::Duration;

use spillway_core::store::sqlite::{Editor, Options, Reader};
use spillway_core::store::{Row, Store};

use crate::rig::*;

const VERSIONS: [&str; 2] = [include_str!("versions/1.sql"), include_str!("versions/2.sql")];

/// Longer than any file of a test is old.
const FOR_EVER: Duration = Duration::from_secs(1_000 * 365 * 86_400);

#[test]
fn a_file_of_any_version_is_read_and_goes_on() {
    for (sql, version) in VERSIONS.iter().zip(1..) {
        let (_directory, path) = place();
        rusqlite::Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        let mut rig = Rig::try_open(Options { dedupe: FOR_EVER, ..options(&path) }).unwrap();
        assert!(rig.opening.set_aside.is_none(), "version {version}");
        assert_eq!((seqs(&rig.found), rig.opening.last_seq), (vec![3, 4, 5], 5));
        let (Row::Waiting(later), Row::Started(tried)) = (&rig.found[0], &rig.found[1]) else {
            panic!("version {version}: {:?}", rig.found)
        };
        assert_eq!((&*later.id, later.priority, later.expires_at.is_some()), ("later", 3, true));
        assert_eq!((tried.message.id(), tried.attempts, tried.sent, tried.ambiguous), ("tried", 3, false, false));
        assert_eq!((letters(&rig.found), settled_ids(&rig.found)), (vec!["dead".into()], vec!["delivered".into()]));
        assert!(rig.opening.budget.as_deref().is_some_and(|budget| budget.contains("spent")));
        assert_eq!(rig.opening.departed.len(), 4);
        let loaded = rig.load(&[3, 4, 5]);
        let bodies: Vec<_> = loaded.iter().flatten().map(|record| record.message.body()).collect();
        assert_eq!(bodies, ["{\"text\":\"größer\"}", "{\"text\":\"four\"}", "{\"text\":\"five\"}"]);
        let at = rig.now();
        rig.store.apply(vec![insert(6, at)]);
        rig.settled(1);
        rig.close();
        assert!(Reader::open(&path).unwrap().check().unwrap().ok, "version {version}");
        assert_eq!(Editor::open(&path).unwrap().redrive("dead").unwrap(), 7);
        let rig = Rig::open(&path);
        assert_eq!(seqs(&rig.found), [3, 4, 5, 6, 7]);
        rig.close();
    }
}

#[test]
fn what_was_on_the_wire_in_version_1_is_on_the_wire() {
    let (_directory, path) = place();
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute_batch(VERSIONS[0]).unwrap();
    db.execute_batch(
        "UPDATE flights SET sent = 1, ambiguous = 1, batch = 12288, sent_ms = 1795614483751;
         INSERT INTO flights VALUES (5, 1, 1795614483751, 0, 1, 12289, 1795614483751)",
    )
    .unwrap();
    drop(db);
    let rig = Rig::open(&path);
    let known = |row: &Row| match row {
        Row::Started(record) => Some((record.seq, record.attempts, record.sent, record.ambiguous, record.batch)),
        _ => None,
    };
    let found: Vec<_> = rig.found.iter().filter_map(known).collect();
    assert_eq!(found, [(4, 3, true, true, Some(3 * 16_384)), (5, 1, true, false, Some(3 * 16_384 + 1))]);
    assert_eq!(rig.opening.departed.len(), 4);
    rig.close();
}

#[test]
fn many_receipts_of_version_1_are_known_in_their_order() {
    let (_directory, path) = place();
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute_batch(VERSIONS[0]).unwrap();
    db.execute_batch(
        "DELETE FROM receipts;
         WITH RECURSIVE numbers(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM numbers WHERE value < 1000)
         INSERT INTO receipts SELECT value, 'é\"' || value, value % 2, 'c', 202, 1, 1, 3, 1795614483000 + value
         FROM numbers",
    )
    .unwrap();
    drop(db);
    let rig = Rig::try_open(Options { dedupe: FOR_EVER, ..options(&path) }).unwrap();
    let expected: Vec<_> = (1..=1_000).filter(|number| number % 2 == 1).map(|number| format!("é\"{number}")).collect();
    assert_eq!(settled_ids(&rig.found), expected);
    rig.close();
    let receipts = Reader::open(&path).unwrap().receipts(995).unwrap().rows;
    let told: Vec<_> = receipts.iter().map(|receipt| (receipt.number, receipt.status, receipt.queued_ms)).collect();
    assert_eq!(told, (996..=1_000).map(|number| (number, 202, 3)).collect::<Vec<_>>());
}
