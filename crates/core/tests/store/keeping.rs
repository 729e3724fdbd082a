//! What a store keeps from one run to the next.

use std::time::Duration;

use spillway_core::error::StoreErrorKind;
use spillway_core::message::{Message, Parts};
use spillway_core::outcome::Reason;
use spillway_core::store::{Change, Departure, Flight, Record, Row};

use crate::fixture::*;

/// Where the first message of the ninth message's batch is: see `batch_of`.
const BATCH: u64 = 9 * 16_384;

#[test]
fn a_message_comes_back_whole() {
    let (_directory, path) = place();
    let mut fixture = Fixture::open(&path);
    let at = fixture.now();
    let mut written = record(1, at);
    let own = written.message.clone();
    written.message = Message::new(Parts {
        id: own.id(),
        id_given: false,
        conversation: own.conversation(),
        params: r#"{"queue":"ü"}"#,
        headers: r#"{"genesys-app":"é"}"#,
        traceparent: "00-1-2-03",
        body: own.body(),
    })
    .unwrap();
    written.priority = -3;
    written.expires_at = Some(at.after(Duration::from_secs(60)));
    written.not_before = Some(at.after(Duration::from_secs(30)));
    fixture.store.apply(vec![Change::Insert { entry_id: 7, record: Box::new(written.clone()) }]);
    fixture.settled(1);
    assert_eq!(fixture.kept, [7]);
    fixture.close();

    let mut fixture = Fixture::open(&path);
    let Row::Waiting(waiting) = &fixture.found[0] else { panic!("{:?}", fixture.found) };
    assert_eq!((&*waiting.id, &*waiting.conversation, waiting.priority, waiting.bytes), ("m-1", "c-1", -3, 300));
    let loaded = fixture.load(&[1, 2]);
    let read = loaded[0].as_ref().unwrap();
    assert!(loaded[1].is_none());
    assert_eq!(read.message, written.message);
    let ahead = read.expires_at.unwrap().since(fixture.now());
    assert!(ahead > Duration::from_secs(50) && ahead <= Duration::from_secs(60), "{ahead:?}");
    assert_eq!(read.expires_at.unwrap().since(read.not_before.unwrap()), Duration::from_secs(30));
    fixture.close();
}

#[test]
fn what_happened_to_messages_is_known_in_the_next_run() {
    let (_directory, path) = place();
    let mut fixture = Fixture::open(&path);
    let at = fixture.now();
    let mut changes = inserts(1..=6, at);
    let member = |seq| Departure { seq, attempts: 1, first_attempt_at: at };
    changes.push(Change::Depart(Flight { batch: Some(BATCH), members: vec![member(1), member(2)] }));
    changes.extend([depart(3, at), depart(4, at), depart(5, at), deliver(3, at), bury(4, at)]);
    let back =
        |seq, attempts, ambiguous, batch| Change::Return { seq, attempts, first_attempt_at: None, ambiguous, batch };
    changes.extend([back(5, 0, false, None), back(2, 1, true, Some(BATCH))]);
    changes.push(save("{\"spent\":1}", [Flight { batch: Some(BATCH), members: vec![member(1)] }], at));
    let count = changes.len() as u64;
    fixture.store.apply(changes);
    fixture.settled(count);
    fixture.close();

    let fixture = Fixture::open(&path);
    assert_eq!(seqs(&fixture.found), [1, 2, 5, 6]);
    let (Row::Started(first), Row::Started(second)) = (&fixture.found[0], &fixture.found[1]) else {
        panic!("{:?}", fixture.found)
    };
    assert_eq!((first.sent, first.ambiguous, first.attempts, first.batch), (true, false, 1, Some(BATCH)));
    assert_eq!((second.sent, second.ambiguous, second.attempts, second.batch), (false, true, 1, Some(BATCH)));
    assert!(first.first_attempt_at.is_some() && first.message.body().len() == 300);
    assert!(matches!(&fixture.found[2], Row::Waiting(_)), "a message that was turned away at the gate was never sent");
    let Row::Letter(letter) = &fixture.found[4] else { panic!("{:?}", fixture.found) };
    assert_eq!(letter.failure, failure(4));
    assert_eq!(letter.failure.reason, Reason::Rejected);
    assert_eq!(settled_ids(&fixture.found), ["m-3"]);
    assert_eq!((fixture.opening.last_seq, fixture.opening.budget.as_deref()), (6, Some("{\"spent\":1}")));
    assert!(fixture.opening.budget_at.is_some() && fixture.opening.salvage.set_aside.is_none());
    assert!(fixture.opening.departed.is_empty(), "what is carried on is in the budget");
    fixture.close();
}

#[test]
fn a_large_body_of_a_message_that_came_back_is_loaded_and_not_told() {
    let (_directory, path) = place();
    let mut fixture = Fixture::open(&path);
    let at = fixture.now();
    let body = "x".repeat(65_537);
    let message = |seq: u64, body: &str| {
        let id = format!("m-{seq}");
        let parts = Parts { id: &id, conversation: "c-1", params: r#"{"queue":"q"}"#, body, ..Parts::default() };
        Message::new(parts).unwrap()
    };
    let large = |seq| Record::new(seq, message(seq, &body), at);
    let insert = |record| Change::Insert { entry_id: 0, record: Box::new(record) };
    let back = |seq, batch| Change::Return { seq, attempts: 1, first_attempt_at: Some(at), ambiguous: true, batch };
    let small = Record::new(4, message(4, &body[1..]), at);
    let mut changes = vec![insert(large(1)), insert(large(2)), insert(large(3)), insert(small)];
    changes.extend([depart(2, at), back(1, None), back(3, Some(BATCH)), back(4, None)]);
    let count = changes.len() as u64;
    fixture.store.apply(changes);
    fixture.settled(count);
    fixture.close();

    let mut fixture = Fixture::open(&path);
    let told = |row: &Row| match row {
        Row::Started(record) => (record.message.body().len(), record.body_bytes),
        other => panic!("{other:?}"),
    };
    let told: Vec<_> = fixture.found.iter().map(told).collect();
    let whole = body.len();
    assert_eq!(
        told,
        [(0, Some(65_537)), (whole, None), (whole, None), (whole - 1, None)],
        "what was on the wire may have to end, and a batch is put together again"
    );
    let Row::Started(first) = &fixture.found[0] else { panic!("{:?}", fixture.found) };
    assert_eq!((first.attempts, first.ambiguous, first.message.params_json()), (1, true, Some(r#"{"queue":"q"}"#)));
    assert_eq!(fixture.load(&[1])[0].as_ref().unwrap().message, message(1, &body));
    fixture.close();
}

#[test]
fn a_delivery_that_is_written_twice_has_one_receipt() {
    let (_directory, path) = place();
    let mut fixture = Fixture::open(&path);
    let at = fixture.now();
    // As after a commit of which nobody knew whether it was durable.
    fixture.store.apply(vec![insert(1, at), insert(2, at), deliver(1, at)]);
    fixture.store.apply(vec![deliver(1, at), deliver(2, at)]);
    fixture.settled(5);
    fixture.close();
    let fixture = Fixture::open(&path);
    assert_eq!(settled_ids(&fixture.found), ["m-1", "m-2"]);
    fixture.close();
}

#[test]
fn a_number_is_never_given_twice() {
    let (_directory, path) = place();
    let mut fixture = Fixture::open(&path);
    let at = fixture.now();
    fixture.store.apply(inserts(1..=3, at));
    fixture.settled(3);
    fixture.store.apply(vec![deliver(3, at), deliver(2, at), bury(1, at)]);
    fixture.settled(6);
    fixture.close();
    for _ in 0..2 {
        let fixture = Fixture::open(&path);
        assert_eq!((fixture.opening.last_seq, seqs(&fixture.found).len()), (3, 0));
        fixture.close();
    }
}

#[test]
fn a_redriven_letter_is_a_message_and_a_dropped_one_is_gone() {
    let (_directory, path) = place();
    let mut fixture = Fixture::open(&path);
    let at = fixture.now();
    fixture.store.apply(inserts(1..=3, at));
    fixture.store.apply(vec![bury(1, at), bury(2, at), bury(3, at)]);
    let mut again = record(4, at);
    again.message = renamed(&again.message, "m-1");
    fixture.store.apply(vec![
        Change::Redrive { entry_id: 40, record: Box::new(again) },
        Change::DropLetter { id: "m-3".into() },
    ]);
    fixture.settled(8);
    assert_eq!(fixture.kept, [1, 2, 3, 40]);
    fixture.close();
    let fixture = Fixture::open(&path);
    assert_eq!((seqs(&fixture.found), letters(&fixture.found)), (vec![4], vec!["m-2".to_owned()]));
    fixture.close();
}

#[test]
fn without_deduplication_no_receipt_is_kept() {
    let (_directory, path) = place();
    let without = || spillway_core::store::file::Options { dedupe: Duration::ZERO, ..options(&path) };
    let mut fixture = Fixture::try_open(without()).unwrap();
    let at = fixture.now();
    fixture.store.apply(vec![insert(1, at), deliver(1, at)]);
    fixture.settled(2);
    fixture.close();
    let fixture = Fixture::open(&path);
    assert!(fixture.found.is_empty());
    fixture.close();
}

#[test]
fn an_id_is_known_for_as_long_as_the_next_run_is_told_to_know_it() {
    let (_directory, path) = place();
    let mut fixture = Fixture::open(&path);
    let at = fixture.now();
    fixture.store.apply(vec![insert(1, at), deliver(1, at)]);
    fixture.settled(2);
    fixture.close();
    for (dedupe, known) in [(Duration::from_secs(60), 1), (Duration::from_nanos(1), 0)] {
        let fixture = Fixture::try_open(spillway_core::store::file::Options { dedupe, ..options(&path) }).unwrap();
        assert_eq!(settled_ids(&fixture.found).len(), known, "{dedupe:?}");
        fixture.close();
    }
}

#[test]
fn a_load_sees_the_changes_before_it() {
    let (_directory, path) = place();
    let mut fixture = Fixture::open(&path);
    let at = fixture.now();
    fixture.store.apply(inserts(1..=20_000, at));
    let loaded = fixture.load(&[20_000]);
    assert_eq!(loaded[0].as_ref().unwrap().seq, 20_000);
    fixture.close();
    let fixture = Fixture::open(&path);
    assert_eq!(seqs(&fixture.found), (1..=20_000).collect::<Vec<_>>());
    fixture.close();
}

#[test]
fn one_owner_at_a_time() {
    let (_directory, path) = place();
    let fixture = Fixture::open(&path);
    let clock = fixture.clock;
    let before = clock.now();
    let error = Fixture::try_open(options(&path)).err().unwrap();
    assert_eq!(kind_of(&error), StoreErrorKind::Locked);
    assert!(error.to_string().contains(&format!("({})", std::process::id())), "{error}");
    assert!(clock.now().since(before) >= Duration::from_secs(4), "an engine that is just closing is waited for");
    // Asked to close, the first is waited for, and no longer than it takes.
    fixture.store.close();
    Fixture::open(&path).close();
}

#[test]
fn what_is_not_ours_is_refused_and_left_as_it_is() {
    let (directory, path) = place();
    Fixture::open(&path).close();
    let error = Fixture::try_open(options(&directory.path().join("none/outbox.db"))).err().unwrap();
    assert_eq!(kind_of(&error), StoreErrorKind::Missing);

    let foreign = directory.path().join("foreign.db");
    rusqlite::Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE t(x); INSERT INTO t VALUES (1)").unwrap();
    let before = std::fs::read(&foreign).unwrap();
    assert_eq!(kind_of(&Fixture::try_open(options(&foreign)).err().unwrap()), StoreErrorKind::Mismatch);
    assert_eq!(std::fs::read(&foreign).unwrap(), before);

    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute_batch("PRAGMA user_version = 99; REPLACE INTO meta VALUES ('schema', 99)").unwrap();
    drop(db);
    assert_eq!(kind_of(&Fixture::try_open(options(&path)).err().unwrap()), StoreErrorKind::Version);
}

#[test]
fn a_file_of_an_older_version_becomes_one_of_this() {
    // Version 0 is a file that a crash left between its making and its first table.
    let (_directory, path) = place();
    std::fs::write(&path, b"").unwrap();
    Fixture::open(&path).close();
    let (_directory, path) = place();
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute_batch("PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA user_version = 0").unwrap();
    drop(db);
    let mut fixture = Fixture::open(&path);
    let at = fixture.now();
    fixture.store.apply(inserts(1..=2, at));
    fixture.settled(2);
    fixture.close();
    assert_eq!(seqs(&Fixture::open(&path).found), [1, 2]);
}

#[cfg(unix)]
#[test]
fn only_this_user_can_read_the_file_and_its_companions() {
    use std::os::unix::fs::PermissionsExt;
    let (directory, path) = place();
    let mut fixture = Fixture::open(&path);
    let at = fixture.now();
    fixture.store.apply(inserts(1..=2, at));
    fixture.settled(2);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.file_name());
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["outbox.db", "outbox.db-lock", "outbox.db-shm", "outbox.db-wal"]);
    fixture.close();
}
