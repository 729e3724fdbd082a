//! Rows of an outbox that are not as they were written. Compiled into `store::file`, whose rows are private. An input
//! is a script of SQL, one statement per line, that damages a small outbox; the line `-- sums` makes the sums of what
//! it wrote right, as only a program could that knows them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects by unwrapping it")]
#![allow(missing_docs, unreachable_pub, reason = "a test has no readers but its own")]

use std::time::Duration;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use rusqlite::{Connection, params};

use super::apply::Applier;
use super::file_time::FileTime;
use super::part::Part;
use super::progress::Progress;
use super::receipts::{self, Receipt};
use super::recover::{self, Readout};
use super::rows::checksum;
use super::wire::{self, Happening};
use super::{rows, schema};
use crate::clock::{Clock, Timestamp};
use crate::harness::{Target, Verdict};
use crate::message::{Message, Parts, Payload};
use crate::mutation::{NASTY, damaged};
use crate::outcome::{DeliveryFailure, Reason, Response};
use crate::store::{Change, Departure, Flight, Record, Row, StoreEvent, batch_number};

const MESSAGES: u64 = 12;
const PART: Part = Part::FIRST;
/// Longer than any receipt is old.
const REMEMBERED: Duration = Duration::from_secs(86_400 * 36_500);

/// Every text differs, so that a part of one message in another is seen.
fn message(seq: u64) -> Message {
    let (id, conversation, body) =
        (format!("m-{seq}"), format!("c-ü{}", seq % 3), format!("{{\"text\":\"😀 {seq}\"}}"));
    let (params, headers) = (format!("{{\"to\":\"{seq}\"}}"), format!("{{\"x-seq\":\"{seq}\"}}"));
    let [params, headers, traceparent] = [params, headers, format!("00-{seq:032x}-{seq:016x}-01")]
        .map(|text| if seq.is_multiple_of(2) { text } else { String::new() });
    let parts = Parts {
        id: &id,
        id_given: true,
        conversation: &conversation,
        params: &params,
        headers: &headers,
        traceparent: &traceparent,
        body: &body,
    };
    Message::new(parts).unwrap()
}

fn failure(seq: u64) -> DeliveryFailure {
    let body = Bytes::from_static(b"no");
    DeliveryFailure {
        reason: Reason::Rejected,
        id: Some(format!("m-{seq}").into()),
        response: Some(Response { status: 400, body, ..Response::default() }),
        attempts: 1,
        ambiguous: false,
        problem: None,
    }
}

/// Some messages that wait, are on the wire, came back, were delivered, and given up.
fn changes(at: Timestamp) -> Vec<Change> {
    let insert = |seq| Change::Insert { entry_id: 0, record: Box::new(Record::new(seq, message(seq), at)) };
    let member = |seq| Departure { seq, attempts: 1, first_attempt_at: at };
    let deliver = |seq| Change::Deliver {
        seq,
        id: message(seq).id().into(),
        id_given: true,
        conversation: message(seq).conversation().into(),
        status: 202,
        attempts: 1,
        batch_size: 3,
        queued: Duration::from_millis(5),
        at,
    };
    let first_attempt_at = Some(at);
    let mut changes: Vec<Change> = (1..=MESSAGES).map(insert).collect();
    let batch = Some(batch_number(1, 0));
    changes.push(Change::Depart(Flight { batch, members: (1..=6).map(member).collect() }));
    changes.extend((1..=2).map(deliver));
    changes.push(Change::Bury { seq: 3, failure: Box::new(failure(3)), at });
    changes.push(Change::Return { seq: 4, attempts: 1, first_attempt_at, ambiguous: true, batch });
    changes
}

/// An outbox in memory.
fn written(time: &FileTime, at: Timestamp) -> Connection {
    let db = Connection::open_in_memory().unwrap();
    schema::migrate(&db, schema::kind(&db).unwrap()).unwrap();
    let changes = changes(at);
    let mut applier = Applier::new(&db, PART, time, true);
    changes.iter().for_each(|change| applier.apply(change).unwrap());
    applier.finish().unwrap();
    db
}

fn check(script: &[u8]) -> Verdict {
    let clock = Clock::start();
    let (time, at) = (FileTime::new(clock), clock.now());
    let db = written(&time, at);
    let script = String::from_utf8_lossy(script);
    for statement in script.lines() {
        // What a table refuses is no damage.
        let _ = if statement == "-- sums" { resum(&db) } else { db.execute_batch(statement) };
    }
    let receipts_have_sums: bool =
        db.query_row("SELECT count(*) = 0 FROM deliveries WHERE sum IS NULL", [], |row| row.get(0)).unwrap_or(false);
    let trusts_receipts = receipts_have_sums && !script.contains("-- sums");
    let mut found = Vec::new();
    let strict = tell(&db, &time, false, &mut found);
    is_as_written(&found, trusts_receipts)?;
    if script.trim().is_empty() {
        prop_assert_eq!(&strict, &Ok(0));
        prop_assert_eq!(found.len(), usize::try_from(MESSAGES).unwrap());
    }
    let mut found = Vec::new();
    let lenient = tell(&db, &time, true, &mut found);
    is_as_written(&found, trusts_receipts)?;
    prop_assert!(strict.is_err() || lenient == strict, "{strict:?}, and leniently {lenient:?}");
    let departed = recover::departed(&db, PART, &time);
    prop_assert!(departed.is_err() || wire::read(&db, PART).is_ok());
    let _numbers =
        (wire::newest(&db, PART).is_ok(), recover::last_seq(&db, PART).is_ok(), receipts::newest(&db, PART).is_ok());
    if wire::presume_sent(&db, PART, 2, 1_000).is_ok() {
        let mut found = Vec::new();
        let _again = tell(&db, &time, true, &mut found);
        is_as_written(&found, trusts_receipts)?;
    }
    Ok(())
}

/// How many rows were unreadable, or what is wrong with all of them.
fn tell(db: &Connection, time: &FileTime, lenient: bool, found: &mut Vec<Row>) -> Result<u64, String> {
    let mut progress = Progress::default();
    let mut news = |news| {
        let StoreEvent::Found(rows) = news else { panic!("{news:?}") };
        found.extend(rows);
    };
    let readout = Readout { part: PART, time, dedupe: REMEMBERED, lenient };
    match recover::tell_all(db, &readout, &mut progress, &mut news) {
        Ok(()) => Ok(progress.unreadable),
        Err(fault) => {
            assert!(fault.is_corrupt(), "{}", fault.what());
            Err(fault.what().to_owned())
        }
    }
}

fn resum(db: &Connection) -> rusqlite::Result<()> {
    for (table, text) in [("wire", "log"), ("deliveries", "receipts")] {
        let mut statement = db.prepare(&format!("SELECT number, CAST({text} AS TEXT) FROM {table}"))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (number, Ok(text)) = (row.get::<_, i64>(0)?, row.get::<_, String>(1)) else { continue };
            let sum = checksum(number, &text);
            db.execute(&format!("UPDATE {table} SET sum = ?2 WHERE number = ?1"), params![number, sum])?;
        }
    }
    Ok(())
}

/// Every message is one that was written, in its place; each comes once.
fn is_as_written(found: &[Row], trusts_receipts: bool) -> Verdict {
    let mut seqs = Vec::new();
    for row in found {
        match row {
            Row::Waiting(waiting) => {
                let message = message(waiting.seq);
                prop_assert_eq!((&*waiting.id, &*waiting.conversation), (message.id(), message.conversation()));
                prop_assert_eq!(waiting.bytes as usize, message.body().len());
                seqs.push(waiting.seq);
            }
            Row::Started(record) => {
                prop_assert!(record.message == message(record.seq), "{record:?}");
                seqs.push(record.seq);
            }
            Row::Letter(letter) => {
                let Payload::Message(payload) = &letter.payload else { panic!("{letter:?}") };
                prop_assert!(*payload == message(3), "{letter:?}");
            }
            Row::Settled(settled) => {
                prop_assert!((100..1_000).contains(&settled.status), "{settled:?}");
                prop_assert!(!trusts_receipts || ["m-1", "m-2"].contains(&&*settled.id), "{settled:?}");
            }
        }
    }
    prop_assert!(seqs.iter().all(|seq| (1..=MESSAGES).contains(seq)), "{seqs:?}");
    prop_assert!(seqs.is_sorted_by(|one, next| one < next), "{seqs:?}");
    Ok(())
}

/// The columns of each table; the first is its key.
const TABLES: [(&str, &[&str]); 5] = [
    (
        "messages",
        &[
            "seq",
            "id",
            "given",
            "conversation",
            "priority",
            "bytes",
            "submitted_ms",
            "expires_ms",
            "tail",
            "headers",
            "body",
        ],
    ),
    ("letters", &["number", "seq", "id", "at_ms", "failure", "response", "bytes", "head", "params", "body"]),
    ("returned", &["seq", "attempts", "first_attempt_ms", "ambiguous", "batch", "sum"]),
    ("wire", &["number", "carried", "sum", "log"]),
    ("deliveries", &["number", "count", "at_ms", "sum", "receipts"]),
];

fn json_number() -> impl Strategy<Value = String> {
    prop_oneof![
        (0_u64..=MESSAGES).prop_map(|number| number.to_string()),
        select(&["null", "true", "-1", "9223372036854775807", "-9223372036854775808", "1e400", "\"1\"", "[]"][..])
            .prop_map(str::to_owned),
        any::<i64>().prop_map(|number| number.to_string()),
    ]
}

/// A log of the wire or a list of receipts, nearly as they are written.
fn list() -> impl Strategy<Value = Vec<u8>> {
    let member = (json_number(), json_number(), json_number()).prop_map(|(a, b, c)| format!("[{a},{b},{c}]"));
    let left = (json_number(), json_number(), vec(member, 0..4))
        .prop_map(|(at, first, members)| format!("[{at},{first},[{}]]", members.join(",")));
    let receipt = (vec(json_number(), 5), select(&["m-1", "m-2", "m-9", "\\ud83d", ""][..]))
        .prop_map(|(numbers, id)| format!("[\"{id}\",true,\"c-ü1\",{}]", numbers.join(",")));
    let one = prop_oneof![left, json_number(), receipt];
    vec(one, 0..5).prop_map(|list| format!("[{}]", list.join(",")).into_bytes())
}

fn value() -> impl Strategy<Value = String> {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    prop_oneof![
        4 => damaged(list()).prop_map(move |text| format!("CAST(x'{}' AS TEXT)", hex(&text))),
        1 => vec(any::<u8>(), 0..20).prop_map(move |bytes| format!("x'{}'", hex(&bytes))),
        2 => any::<i64>().prop_map(|number| number.to_string()),
        2 => (0_u64..20).prop_map(|number| number.to_string()),
        1 => any::<f64>().prop_map(|number| format!("{number:e}")),
        1 => select(&["NULL", "-1", "9223372036854775807", "'m-1'", "'many'", "''", "1e400"][..]).prop_map(str::to_owned),
        1 => select(&NASTY[..]).prop_map(|text| format!("'{}'", text.replace(['\'', '\r', '\n', '\0'], ""))),
    ]
}

fn statement() -> impl Strategy<Value = String> {
    (select(&TABLES[..]), any::<[u8; 3]>(), value()).prop_map(|((table, columns), [act, column, row], value)| {
        let (key, column) = (columns[0], columns[usize::from(column) % columns.len()]);
        let row = format!("WHERE {key} = (SELECT {key} FROM {table} LIMIT 1 OFFSET {})", row % 12);
        let other = format!("SELECT {column} FROM {table} LIMIT 1 OFFSET {}", act % 7);
        match act % 8 {
            0 => format!("DELETE FROM {table} {row}\n"),
            1 | 2 => format!("UPDATE {table} SET {column} = ({other}) {row}\n"),
            3 => format!("UPDATE {table} SET {column} = {column} + 1 {row}\n"),
            4 => format!("UPDATE {table} SET {column} = replace({column}, '1', '2') {row}\n"),
            _ => format!("UPDATE {table} SET {column} = {value} {row}\n"),
        }
    })
}

#[test]
fn rows() {
    let sums = select(&["", "-- sums\n"][..]);
    let scripts = (vec(statement(), 0..4), sums).prop_map(|(lines, sums)| (lines.concat() + sums).into_bytes());
    Target { name: "rows", cases: 150, check }.run(&scripts);
}

fn receipt() -> impl Strategy<Value = Receipt<'static>> {
    let numbers = (100_u16..1_000, any::<u32>(), any::<u32>(), any::<i64>(), any::<i64>());
    (any::<String>(), any::<bool>(), any::<String>(), numbers).prop_map(|(id, given, conversation, numbers)| {
        let (status, attempts, batch_size, queued_ms, at_ms) = numbers;
        let (id, conversation) = (id.into(), conversation.into());
        Receipt { id, given, conversation, status, attempts, batch_size, queued_ms, at_ms }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn receipts_are_read_as_they_were_written(written in vec(receipt(), 1..600)) {
        let clock = Clock::start();
        let db = Connection::open_in_memory().unwrap();
        schema::migrate(&db, schema::kind(&db).unwrap()).unwrap();
        receipts::append(&db, PART, &written).unwrap();
        let mut statement = db.prepare(receipts::SELECT).unwrap();
        let mut found = statement.query(params![PART.start(), PART.end()]).unwrap();
        let mut read = Vec::new();
        while let Some(row) = found.next().unwrap() {
            let some = receipts::read(row).map_err(|fault| TestCaseError::fail(fault.what().to_owned()))?;
            read.extend(some.map(|(number, receipt)| {
                let (id, conversation) = (receipt.id.into_owned().into(), receipt.conversation.into_owned().into());
                (number, Receipt { id, conversation, ..receipt })
            }));
        }
        prop_assert!(read.into_iter().eq((1..).zip(written)));
        let _clock = clock;
    }

    #[test]
    fn the_wire_is_read_as_it_was_written(flights in vec((option::of(1_u64..1_000), vec(any::<bool>(), 0..5)), 0..40)) {
        let (clock, mut seq) = (Clock::start(), 0);
        let (times, at) = (FileTime::new(clock).times(), clock.now());
        let db = Connection::open_in_memory().unwrap();
        schema::migrate(&db, schema::kind(&db).unwrap()).unwrap();
        let mut on_wire = Vec::new();
        for (batch, came_back) in &flights {
            let batch = batch.map(|first| batch_number(first, 0));
            let seqs: Vec<u64> = came_back.iter().map(|_| { seq += 1; seq }).collect();
            let members = seqs.iter().map(|seq| Departure { seq: *seq, attempts: 2, first_attempt_at: at }).collect();
            let mut log = vec![Happening::left(7, &Flight { batch, members }, &times)];
            log.extend(seqs.iter().zip(came_back).filter(|(_, back)| **back).map(|(seq, _)| Happening::back(*seq)));
            let stay = seqs.iter().zip(came_back).zip(0_i64..).filter(|((_, back), _)| !**back);
            on_wire.extend(stay.map(|((seq, _), place)| (*seq as i64, batch.map(|first| first as i64 + place))));
            wire::append(&db, PART, false, &log).unwrap();
        }
        let read = wire::read(&db, PART).map_err(|fault| TestCaseError::fail(fault.what().to_owned()))?;
        prop_assert_eq!(read.departed_ms, vec![7; flights.len()]);
        let mut found: Vec<_> = read.sent.into_iter().map(|(seq, sent)| (seq, sent.batch)).collect();
        found.sort_unstable();
        prop_assert_eq!(found, on_wire);
    }
}

#[test]
fn a_row_of_a_message_is_read_as_it_was_written() {
    let clock = Clock::start();
    let (time, at) = (FileTime::new(clock), clock.now());
    let db = written(&time, at);
    for seq in 5..=MESSAGES {
        let mut statement = db.prepare(&rows::load_sql()).unwrap();
        let mut found = statement.query(params![seq as i64]).unwrap();
        let record = rows::record(found.next().unwrap().unwrap(), &time.times())
            .map_err(|fault| fault.what().to_owned())
            .unwrap();
        assert_eq!((record.seq, record.message), (seq, message(seq)));
    }
}
