//! A file from outside: what a reader tells of it, beside an owner and without one, and what an editor changes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::json;
use spillway_core::error::{Error, StoreErrorKind};
use spillway_core::outcome::{LetterFilter, Reason};
use spillway_core::store::file::{Editor, Found, Pause, Reader, Redriven, State, Texts};
use spillway_core::store::{Change, Departure, Flight};

use crate::fixture::*;

/// Where the tests' fifth message is in the batch of its fourth: see `batch_of`.
const BATCH: u64 = 4 * 16_384;

/// A file with a message in every state, two letters and a receipt.
fn mixed(path: &Path) -> Fixture {
    let mut fixture = Fixture::open(path);
    let at = fixture.now();
    let member = |seq| Departure { seq, attempts: 1, first_attempt_at: at };
    let back = |seq, batch| Change::Return { seq, attempts: 1, first_attempt_at: Some(at), ambiguous: true, batch };
    let budget =
        json!({ "spent": [[-5, 2], [1_000, 1]], "pause": { "source": "backoff", "sinceMs": -10, "untilMs": 90 } });
    let mut changes = inserts(1..=9, at);
    changes.extend([save(budget.to_string(), [], at), depart(2, at), depart(3, at), back(3, None)]);
    changes.push(Change::Depart(Flight { batch: Some(BATCH), members: vec![member(4), member(5)] }));
    changes.extend([back(4, Some(BATCH)), back(5, Some(BATCH + 1))]);
    changes.extend([depart(6, at), bury(6, at), depart(7, at), bury(7, at), depart(8, at), deliver(8, at)]);
    let count = changes.len() as u64;
    fixture.store.apply(changes);
    fixture.settled(count);
    fixture
}

fn assert_mixed(path: &Path, owner: Option<u32>) {
    let mut reader = Reader::open(path).unwrap();
    let page = reader.messages(0, Texts::Hidden).unwrap();
    let states: Vec<_> = page.rows.iter().map(|row| (row.seq, row.state)).collect();
    let [waiting, sent, retrying] = [State::Waiting, State::Sent, State::Retrying];
    assert_eq!(states, [(1, waiting), (2, sent), (3, retrying), (4, State::Bound), (5, State::Bound), (9, waiting)]);
    assert_eq!((page.rows[4].batch, page.rows[2].ambiguous, page.next), (Some(4), true, None));
    assert!(page.rows[1].sent_at_ms.is_some() && page.rows[3].sent_at_ms.is_none());

    let stats = reader.stats().unwrap();
    assert_eq!((stats.owner, stats.closed), (owner, owner.is_none()));
    assert_eq!((stats.organization.as_deref(), stats.last_seq), (Some("acme"), 9));
    let messages = stats.messages;
    assert_eq!((messages.count, messages.bytes), (6, 1_800));
    assert_eq!((messages.waiting, messages.sent, messages.retrying, messages.bound), (2, 1, 1, 2));
    assert_eq!(messages.ambiguous, 3);
    assert_eq!((stats.letters.count, stats.letters.reasons), (2, BTreeMap::from([("rejected".to_owned(), 2)])));
    assert_eq!(stats.receipts.count, 1);
    let budget = stats.budget.unwrap();
    assert_eq!((budget.spent, budget.departed), (3, 6));
    let saved = budget.saved_at_ms.unwrap();
    assert_eq!(budget.pause, Some(Pause { since_ms: saved - 10, until_ms: Some(saved + 90) }));

    let verdict = reader.check().unwrap();
    assert!(verdict.ok, "{verdict:?}");
    let checked = verdict.checked;
    assert_eq!((checked.messages, checked.flights, checked.letters, checked.receipts), (6, 4, 2, 1));
}

#[test]
fn it_is_read_beside_its_owner_and_after_it() {
    let (directory, path) = place();
    let fixture = mixed(&path);
    assert_mixed(&path, Some(std::process::id()));
    fixture.close();
    assert_mixed(&path, None);
    // A copy of the file alone, without its log.
    let copy = directory.path().join("a copy?of #1%20.db");
    fs::copy(&path, &copy).unwrap();
    assert_mixed(&copy, None);
    assert_eq!(fs::read(&copy).unwrap(), fs::read(&path).unwrap());
    let made: Vec<_> = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("a copy"))
        .collect();
    assert_eq!(made, ["a copy?of #1%20.db"], "reading leaves nothing behind");
}

#[test]
fn an_owner_that_begins_meanwhile_is_seen() {
    let (_directory, path) = place();
    mixed(&path).close();
    for suffix in ["-wal", "-shm", "-lock"] {
        fs::remove_file(format!("{}{suffix}", path.display())).unwrap();
    }
    let mut reader = Reader::open(&path).unwrap();
    assert_eq!(reader.messages(0, Texts::Hidden).unwrap().rows.len(), 6);
    let mut fixture = Fixture::open(&path);
    let at = fixture.now();
    fixture.store.apply(inserts(10..=12, at));
    fixture.settled(3);
    assert_eq!(reader.messages(0, Texts::Hidden).unwrap().rows.len(), 9);
    fixture.close();
}

#[test]
fn texts_are_told_only_when_they_are_asked_for() {
    let (_directory, path) = place();
    mixed(&path).close();
    let mut reader = Reader::open(&path).unwrap();
    let text = record(1, spillway_core::clock::Timestamp::START).message.body().to_owned();
    let hidden = serde_json::to_string(&reader.messages(0, Texts::Hidden).unwrap()).unwrap();
    assert!(!hidden.contains(&text[..20]) && !hidden.contains("\"body\""), "{hidden}");
    let hidden = serde_json::to_string(&reader.letters(0, Texts::Hidden).unwrap()).unwrap();
    assert!(!hidden.contains("\"body\"") && !hidden.contains("\"response\""), "{hidden}");
    let shown = reader.messages(0, Texts::Shown).unwrap();
    let value = |page: String| serde_json::from_str::<serde_json::Value>(&page).unwrap();
    assert_eq!(value(serde_json::to_string(&shown).unwrap())["rows"][0]["body"], json!(text));
    let shown = reader.letters(0, Texts::Shown).unwrap();
    assert_eq!(value(serde_json::to_string(&shown).unwrap())["rows"][0]["response"], json!("no"));
}

#[test]
fn many_rows_come_page_by_page() {
    let (_directory, path) = place();
    let mut fixture = Fixture::open(&path);
    let at = fixture.now();
    fixture.store.apply(inserts(1..=2_500, at));
    let large = (2_501..=2_510).map(|seq| Change::Insert { entry_id: 1, record: Box::new(sized(seq, at, 1_500_000)) });
    fixture.store.apply(large.collect());
    fixture.settled(2_510);
    for (texts, pages) in [(Texts::Hidden, 3), (Texts::Shown, 6)] {
        let (mut seqs, mut after, mut count) = (Vec::new(), Some(0), 0);
        while let Some(from) = after {
            let page = Reader::open(&path).unwrap().messages(from, texts).unwrap();
            assert!(page.rows.len() <= 1_000);
            seqs.extend(page.rows.iter().map(|row| row.seq));
            (after, count) = (page.next, count + 1);
        }
        assert_eq!(seqs, (1..=2_510).collect::<Vec<_>>());
        assert_eq!(count, pages);
    }
    fixture.close();
}

#[test]
fn an_id_is_found_wherever_it_is() {
    let (_directory, path) = place();
    mixed(&path).close();
    let mut reader = Reader::open(&path).unwrap();
    let mut find = |id| reader.find(id, Texts::Hidden).unwrap();
    assert!(matches!(find("m-4").as_slice(), [Found::Message(row)] if row.state == State::Bound));
    assert!(matches!(find("m-6").as_slice(), [Found::Letter(row)] if row.status == Some(400)));
    assert!(matches!(find("m-8").as_slice(), [Found::Receipt(row)] if row.status == 202));
    assert!(find("m-99").is_empty());
}

#[test]
fn what_is_no_outbox_is_said_and_left_as_it_is() {
    let (directory, path) = place();
    let error = |path: &Path| Reader::open(path).err().unwrap();
    let says = |path: &Path, kind: StoreErrorKind, text: &str| {
        for error in [error(path), Editor::open(path).err().unwrap()] {
            assert_eq!(kind_of(&error), kind, "{error}");
            assert!(error.to_string().contains(text), "{error}");
        }
    };
    says(&path, StoreErrorKind::Missing, "isn't there; check the path");
    assert!(!path.exists() && fs::read_dir(directory.path()).unwrap().next().is_none());
    says(directory.path(), StoreErrorKind::Mismatch, "is a directory or a device, not a file");
    fs::write(&path, b"").unwrap();
    says(&path, StoreErrorKind::Missing, "is empty");
    fs::write(
        &path,
        b"something else, and much longer than a header of SQLite's, which has a hundred bytes; so it is read",
    )
    .unwrap();
    says(&path, StoreErrorKind::Mismatch, "is not an outbox");
    fs::remove_file(&path).unwrap();
    mixed(&path).close();
    let whole = fs::read(&path).unwrap();
    fs::write(&path, [&[0; 16], &whole[16..]].concat()).unwrap();
    says(&path, StoreErrorKind::Corrupt, "open it with a sender once");
    fs::write(&path, whole).unwrap();
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute_batch("PRAGMA user_version = 99; REPLACE INTO meta VALUES ('schema', 99)")
        .unwrap();
    says(&path, StoreErrorKind::Version, "schema 99");
}

#[test]
fn a_check_finds_what_does_not_fit() {
    let (_directory, path) = place();
    mixed(&path).close();
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute_batch(
            "UPDATE messages SET body = 'another' WHERE seq = 1;
             INSERT INTO returned VALUES (77, 1, NULL, 0, NULL, 99288344);
             UPDATE returned SET attempts = 2 WHERE seq = 3;
             UPDATE messages SET conversation = 'c-other' WHERE seq = 9;
             INSERT INTO letters SELECT NULL, at_ms, '{', response, seq, id, given, conversation, priority, bytes, submitted_ms,
               expires_ms, not_before_ms, head, tail, params, headers, traceparent, body FROM letters WHERE id = 'm-7'",
        )
        .unwrap();
    let mut reader = Reader::open(&path).unwrap();
    let verdict = reader.check().unwrap();
    let found: Vec<_> =
        verdict.problems.iter().map(|found| (found.count, found.examples.join(","), found.problem.as_str())).collect();
    assert!(!verdict.ok);
    assert_eq!(
        found,
        [
            (2, "number 1,number 9".into(), "messages that are not as they were written"),
            (1, "number 3".into(), "dead letters that are not as they were written"),
            (1, "number 3".into(), "attempts that are not as they were written"),
            (1, "number 77".into(), "attempts of messages that are not in the outbox"),
            (1, "id \"m-7\"".into(), "ids that are there more than once, among messages and dead letters"),
        ]
    );
    // The others are told all the same.
    let page = reader.messages(0, Texts::Hidden).unwrap();
    assert_eq!(page.rows.last().unwrap().state, State::Damaged);
    assert_eq!(page.rows.len(), 6);
    assert_eq!(reader.letters(0, Texts::Hidden).unwrap().rows[2].reason, "damaged");
}

#[test]
fn damaged_pages_are_found_and_no_reason_to_panic() {
    let (_directory, path) = place();
    let mut fixture = Fixture::open(&path);
    let at = fixture.now();
    fixture.store.apply(inserts(1..=500, at));
    fixture.settled(500);
    fixture.close();
    let whole = fs::read(&path).unwrap();
    for page in 1..whole.len() / 4_096 {
        let mut bytes = whole.clone();
        bytes[page * 4_096..(page + 1) * 4_096].fill(0xA5);
        fs::write(&path, &bytes).unwrap();
        let verdict = Reader::open(&path).and_then(|mut reader| reader.check());
        let problems = verdict.map_or_else(
            |_| vec!["it can't be opened".to_owned()],
            |verdict| verdict.problems.into_iter().map(|found| found.problem).collect(),
        );
        assert!(!problems.is_empty(), "page {page} is damaged");
        let different: BTreeSet<&String> = problems.iter().collect();
        assert_eq!(different.len(), problems.len(), "page {page}: nothing is said twice: {problems:?}");
        let _ = Reader::open(&path).and_then(|mut reader| reader.stats());
        let _ = Reader::open(&path).and_then(|mut reader| reader.messages(0, Texts::Shown));
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    assert!(!Reader::open(&path).and_then(|mut reader| reader.check()).is_ok_and(|verdict| verdict.ok));
}

#[test]
fn redriven_and_dropped_letters_are_seen_by_the_next_sender() {
    let (_directory, path) = place();
    mixed(&path).close();
    let mut editor = Editor::open(&path).unwrap();
    assert_eq!(editor.redrive("m-7").unwrap(), 10);
    editor.drop_letter("m-6").unwrap();
    for error in [editor.redrive("m-6").err().unwrap(), editor.drop_letter("m-6").err().unwrap()] {
        assert!(matches!(error, Error::NotFound { what: "dead letter", .. }), "{error}");
    }
    drop(editor);
    assert!(Reader::open(&path).unwrap().check().unwrap().ok);
    let mut fixture = Fixture::open(&path);
    assert_eq!(seqs(&fixture.found), [1, 2, 3, 4, 5, 9, 10]);
    assert!(letters(&fixture.found).is_empty());
    assert_eq!(fixture.opening.last_seq, 10);
    let again = fixture.load(&[10]).remove(0).unwrap();
    assert_eq!((again.message.id(), again.attempts, again.sent, again.expires_at), ("m-7", 0, false, None));
    assert_eq!(again.message.body(), record(7, again.submitted_at).message.body());
    fixture.close();
}

#[test]
fn all_are_redriven_but_those_whose_id_waits() {
    let (_directory, path) = place();
    let mut fixture = Fixture::open(&path);
    let at = fixture.now();
    fixture.store.apply(inserts(1..=3_000, at));
    fixture.store.apply((1..=2_500).map(|seq| bury(seq, at)).collect());
    let mut again = record(3_001, at);
    again.message = renamed(&again.message, "m-17");
    fixture.store.apply(vec![Change::Insert { entry_id: 1, record: Box::new(again) }]);
    fixture.settled(5_501);
    fixture.close();
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute("UPDATE letters SET body = x'00' WHERE id = 'm-18'", [])
        .unwrap();

    let mut editor = Editor::open(&path).unwrap();
    let error = editor.redrive("m-17").err().unwrap();
    assert_eq!(kind_of(&error), StoreErrorKind::Mismatch);
    assert!(error.to_string().contains("has a message with the id \"m-17\" that waits"), "{error}");
    assert_eq!(kind_of(&editor.redrive("m-18").err().unwrap()), StoreErrorKind::Corrupt);
    assert_eq!(editor.redrive_all(LetterFilter::ALL).unwrap(), Redriven { redriven: 2_498, waiting: 1, damaged: 1 });
    drop(editor);
    let mut left = Reader::open(&path).unwrap().letters(0, Texts::Hidden).unwrap().rows;
    assert_eq!(left.len(), 2);
    assert_eq!(&*left.remove(0).envelope.unwrap().id, "m-17");
    let page = Reader::open(&path).unwrap().messages(3_001, Texts::Hidden).unwrap();
    let first: Vec<_> = page.rows.iter().take(2).map(|row| (row.seq, &*row.envelope.as_ref().unwrap().id)).collect();
    assert_eq!(first, [(3_002, "m-1"), (3_003, "m-2")], "oldest first, behind all others");
}

#[test]
fn a_filter_takes_those_for_which_everything_holds() {
    let (_directory, path) = place();
    let mut fixture = Fixture::open(&path);
    let at = fixture.now();
    fixture.store.apply(inserts(1..=4, at));
    fixture.store.apply((1..=3).map(|seq| bury(seq, at)).collect());
    let exhausted = match bury(4, at) {
        Change::Bury { seq, mut failure, at } => {
            failure.reason = Reason::Exhausted;
            failure.response = None;
            Change::Bury { seq, failure, at }
        }
        other => other,
    };
    fixture.store.apply(vec![exhausted]);
    fixture.settled(8);
    fixture.close();
    let rows = Reader::open(&path).unwrap().letters(0, Texts::Hidden).unwrap().rows;
    let status = rows[0].status;
    assert!(status.is_some());
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute_batch("UPDATE letters SET at_ms = at_ms - 60000 WHERE number = 1; UPDATE letters SET failure = 'x' WHERE number = 3")
        .unwrap();
    let since = Some(rows[1].at_ms - 30_000);
    let by = |reason, status, since| LetterFilter { reason, status, since };
    let mut editor = Editor::open(&path).unwrap();
    let none = Redriven { redriven: 0, waiting: 0, damaged: 1 };
    assert_eq!(
        editor.redrive_all(by(Some(Reason::Expired), None, None)).unwrap(),
        none,
        "nobody can tell of the third"
    );
    assert_eq!(editor.redrive_all(by(Some(Reason::Exhausted), status, None)).unwrap(), none);
    let one = Redriven { redriven: 1, ..none };
    assert_eq!(editor.redrive_all(by(Some(Reason::Rejected), status, since)).unwrap(), one);
    drop(editor);
    let left: Vec<u64> =
        Reader::open(&path).unwrap().letters(0, Texts::Hidden).unwrap().rows.iter().map(|row| row.number).collect();
    assert_eq!(left, [1, 3, 4]);
}

#[test]
fn an_operators_pause_is_in_the_file_and_leaves_the_rest_of_the_budget_as_it_is() {
    let (_directory, path) = place();
    mixed(&path).close();
    let budget = || Reader::open(&path).unwrap().stats().unwrap().budget.unwrap();
    let before = budget();
    assert_eq!(before.hold, None);
    let mut editor = Editor::open(&path).unwrap();
    assert!(!editor.resume().unwrap(), "there is none to end");
    editor.pause(None).unwrap();
    drop(editor);
    let begun = budget().hold.unwrap();
    assert_eq!(begun.until_ms, None);
    assert!(begun.since_ms >= before.saved_at_ms.unwrap());
    let mut editor = Editor::open(&path).unwrap();
    editor.pause(Some(begun.since_ms + 3_600_000)).unwrap();
    drop(editor);
    let held = budget();
    let hold = held.hold.clone().unwrap();
    assert_eq!(hold.since_ms, begun.since_ms, "it is the same one, with another end");
    assert!(hold.until_ms.unwrap().abs_diff(begun.since_ms + 3_600_000) < 1_000, "{hold:?}");
    assert_eq!((held.saved_at_ms, held.spent, held.departed), (before.saved_at_ms, before.spent, before.departed));
    assert_eq!(held.pause, before.pause, "its probe is due, and it is as long as it was");
    let fixture = Fixture::open(&path);
    let opened = fixture.opening.budget.clone().unwrap();
    assert!(
        opened.contains(r#""spent":[[-5, 2], [1_000, 1]]"#.replace(", ", ",").replace('_', "").as_str()),
        "{opened}"
    );
    fixture.close();
    let mut editor = Editor::open(&path).unwrap();
    assert!(editor.resume().unwrap() && !editor.resume().unwrap());
    drop(editor);
    assert_eq!(budget().hold, None);
    assert!(Reader::open(&path).unwrap().check().unwrap().ok);
}

#[test]
fn a_file_that_has_no_budget_yet_can_be_paused() {
    let (_directory, path) = place();
    Fixture::open(&path).close();
    Editor::open(&path).unwrap().pause(None).unwrap();
    let hold = Reader::open(&path).unwrap().stats().unwrap().budget.unwrap().hold;
    assert!(hold.is_some_and(|hold| hold.until_ms.is_none()));
    assert!(Editor::open(&path).unwrap().resume().unwrap());
}

#[test]
fn an_editor_and_a_sender_keep_each_other_out() {
    let (_directory, path) = place();
    let fixture = mixed(&path);
    let error = Editor::open(&path).err().unwrap();
    assert_eq!(kind_of(&error), StoreErrorKind::Locked);
    let text = error.to_string();
    assert!(text.contains(&std::process::id().to_string()) && text.contains("sender.redrive()"), "{text}");
    fixture.close();
    let editor = Editor::open(&path).unwrap();
    assert_eq!(kind_of(&Fixture::try_open(options(&path)).err().unwrap()), StoreErrorKind::Locked);
    drop(editor);
    Fixture::open(&path).close();
}

#[cfg(unix)]
#[test]
fn what_reading_makes_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (directory, path) = place();
    let fixture = mixed(&path);
    // As somebody copies what an owner that died has left.
    let copy = directory.path().join("copy.db");
    for suffix in ["", "-wal"] {
        let to = format!("{}{suffix}", copy.display());
        fs::copy(format!("{}{suffix}", path.display()), &to).unwrap();
        fs::set_permissions(&to, fs::Permissions::from_mode(0o644)).unwrap();
    }
    fixture.close();
    assert_eq!(Reader::open(&copy).unwrap().messages(0, Texts::Hidden).unwrap().rows.len(), 6);
    let mode = |suffix: &str| {
        fs::metadata(format!("{}{suffix}", copy.display())).map(|metadata| metadata.permissions().mode() & 0o777).ok()
    };
    assert_eq!(mode("-shm"), Some(0o600));
    assert_eq!(mode(""), Some(0o644), "what was there is not changed");
}
