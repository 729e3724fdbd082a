//! Damaged files of an outbox. It opens, is salvaged, or is refused and left as it is; and it never holds a message
//! that was not written. An input is a text with one act of damage per line; numbers count modulo what is there.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use spillway_core::error::{Error, StoreErrorKind};
use spillway_core::message::Payload;
use spillway_core::store::file::{Reader, Texts};
use spillway_core::store::{Change, Row};

use crate::fixture::{Fixture, bury, deliver, depart, inserts, options, place, record, seqs};
use crate::harness::{Target, Verdict};

const PAGE: usize = 4_096;
const MESSAGES: u64 = 60;

/// A file and its write-ahead log, as a crash leaves them.
struct Crashed {
    file: Vec<u8>,
    log: Vec<u8>,
}

/// 60 messages, some of them delivered, given up, on the wire or back from it; the last ones are in the log alone.
fn crashed() -> &'static Crashed {
    static CRASHED: OnceLock<Crashed> = OnceLock::new();
    CRASHED.get_or_init(|| {
        let (_directory, path) = place();
        let mut fixture = Fixture::open(&path);
        let at = fixture.now();
        fixture.store.apply(inserts(1..=40, at));
        fixture.store.apply((1..=12).map(|seq| depart(seq, at)).collect());
        fixture.store.apply((1..=6).map(|seq| deliver(seq, at)).collect());
        fixture.store.apply(vec![bury(7, at), bury(8, at)]);
        let (attempts, first_attempt_at) = (1, Some(at));
        fixture.store.apply(vec![Change::Return { seq: 9, attempts, first_attempt_at, ambiguous: true, batch: None }]);
        fixture.settled(61);
        fixture.close();
        let mut fixture = Fixture::open(&path);
        let at = fixture.now();
        fixture.store.apply(inserts(41..=MESSAGES, at));
        fixture.settled(20);
        let read = |suffix: &str| fs::read(beside(&path, suffix)).unwrap();
        let crashed = Crashed { file: read(""), log: read("-wal") };
        fixture.close();
        // What the log has room for behind its last commit is the same in every file.
        let end = crashed.log.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        Crashed { log: crashed.log[..end].to_vec(), ..crashed }
    })
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

/// Does what a line says; a line that says nothing is passed over.
fn damage(line: &str, crashed: &mut Crashed) {
    let mut words = line.split_whitespace();
    let bytes = match words.next() {
        Some("file") => &mut crashed.file,
        Some("log") => &mut crashed.log,
        _ => return,
    };
    let act = words.next().unwrap_or_default();
    let [one, other] = [words.next(), words.next()].map(|word| word.and_then(|word| word.parse().ok()).unwrap_or(0));
    let (length, pages) = (bytes.len().max(1), (bytes.len() / PAGE).max(1));
    let page = |number: usize| number % pages * PAGE;
    if bytes.is_empty() {
        return;
    }
    match act {
        "flip" => bytes[one % length] ^= 1 << (other % 8),
        "set" => bytes[one % length] = other.to_le_bytes()[0],
        "cut" => bytes.truncate(one % length),
        "zero" if bytes.len() >= PAGE => bytes[page(one)..page(one) + PAGE].fill(0),
        "copy" if bytes.len() >= PAGE => bytes.copy_within(page(one)..page(one) + PAGE, page(other)),
        "swap" if bytes.len() >= PAGE => (0..PAGE).for_each(|at| bytes.swap(page(one) + at, page(other) + at)),
        _ => {}
    }
}

fn check(input: &[u8]) -> Verdict {
    let sound = crashed();
    let mut damaged = Crashed { file: sound.file.clone(), log: sound.log.clone() };
    String::from_utf8_lossy(input).lines().for_each(|line| damage(line, &mut damaged));
    let write = |path: &Path| {
        fs::write(path, &damaged.file).unwrap();
        fs::write(beside(path, "-wal"), &damaged.log).unwrap();
    };
    let (_directory, path) = place();
    write(&path);
    let is_sound = looks_sound(&path)?;
    // Whoever reads puts the log in order.
    let (_directory, path) = place();
    write(&path);
    let mut fixture = match Fixture::try_open(options(&path)) {
        Ok(fixture) => fixture,
        Err(Error::Store { kind, .. }) => {
            prop_assert!(matches!(kind, StoreErrorKind::Mismatch | StoreErrorKind::Version), "{kind:?}");
            prop_assert!(fs::read(&path).unwrap() == damaged.file, "refused, but not left as it is");
            return Ok(());
        }
        Err(other) => return Err(TestCaseError::fail(format!("{other}"))),
    };
    let found = seqs(&fixture.found);
    let mut ascending = found.clone();
    ascending.sort_unstable();
    prop_assert!(ascending.is_sorted_by(|one, next| one < next), "told twice: {found:?}");
    if fixture.opening.salvage.set_aside.is_none() {
        prop_assert_eq!(&found, &ascending, "a file that was not replaced has an order");
    }
    if is_sound {
        prop_assert!(fixture.opening.salvage.set_aside.is_none(), "a check found nothing wrong");
    }
    if damaged.file == sound.file && damaged.log == sound.log {
        prop_assert_eq!(&found, &(9..=MESSAGES).collect::<Vec<_>>());
    }
    fixture.found.iter().try_for_each(is_as_written)?;
    for record in fixture.load(&found).into_iter().flatten() {
        is_as_written(&Row::Started(record))?;
    }
    fixture.close();
    let fixture = Fixture::open(&path);
    prop_assert!(seqs(&fixture.found).iter().all(|seq| found.contains(seq)), "more than before");
    fixture.close();
    Ok(())
}

/// What a reader says of the file, which reads all of it.
fn looks_sound(path: &Path) -> Result<bool, TestCaseError> {
    let Ok(mut reader) = Reader::open(path) else { return Ok(false) };
    let verdict = reader.check();
    let _rows = (reader.messages(0, Texts::Shown), reader.letters(0, Texts::Shown), reader.receipts(0), reader.stats());
    Ok(verdict.is_ok_and(|verdict| verdict.ok))
}

/// A row that was found is one that was written, text for text.
fn is_as_written(row: &Row) -> Verdict {
    let written = |seq: u64| record(seq, spillway_core::clock::Timestamp::START).message;
    let in_range = |seq: u64| (1..=MESSAGES).contains(&seq);
    match row {
        Row::Waiting(waiting) => {
            let seq = waiting.seq;
            prop_assert!(in_range(seq), "{row:?}");
            let message = written(seq);
            prop_assert_eq!((&*waiting.id, &*waiting.conversation), (message.id(), message.conversation()));
            prop_assert_eq!((waiting.bytes, waiting.priority, waiting.expires_at), (300, 0, None));
        }
        Row::Started(record) => {
            prop_assert!(in_range(record.seq) && record.message == written(record.seq), "{record:?}");
            prop_assert!(record.attempts <= 1 && record.batch.is_none(), "{record:?}");
        }
        Row::Letter(letter) => {
            let Payload::Message(message) = &letter.payload else { panic!("{letter:?}") };
            prop_assert!([7, 8].iter().any(|seq| *message == written(*seq)), "{letter:?}");
        }
        Row::Settled(settled) => {
            prop_assert!((1..=6).any(|seq| *settled.id == *written(seq).id()), "{settled:?}");
            prop_assert_eq!((settled.status, settled.attempts), (202, 1));
        }
    }
    Ok(())
}

fn acts() -> impl Strategy<Value = Vec<u8>> {
    let act = prop_oneof![
        // The headers of pages, where it hurts most.
        3 => (any::<u16>(), 0_usize..12, any::<u8>())
            .prop_map(|(page, at, byte)| format!("set {} {byte}", usize::from(page) * PAGE + at)),
        3 => (any::<u32>(), 0_u8..8).prop_map(|(at, bit)| format!("flip {at} {bit}")),
        1 => any::<u32>().prop_map(|at| format!("cut {at}")),
        1 => any::<u16>().prop_map(|page| format!("zero {page}")),
        1 => any::<[u16; 2]>().prop_map(|[from, to]| format!("copy {from} {to}")),
        2 => any::<[u16; 2]>().prop_map(|[one, other]| format!("swap {one} {other}")),
    ];
    let line = (select(&["file", "file", "log"][..]), act).prop_map(|(which, act)| format!("{which} {act}\n"));
    vec(line, 0..8).prop_map(|lines| lines.concat().into_bytes())
}

#[test]
fn damaged() {
    Target { name: "damaged", cases: 30, check }.run(&acts());
}
