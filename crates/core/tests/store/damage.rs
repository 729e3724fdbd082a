//! Damaged files: never a panic, never a loop; the damaged one is kept as it is, and what can be read of it goes on.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use spillway_core::error::StoreErrorKind;
use spillway_core::store::file::{Editor, Options, Reader};
use spillway_core::store::{Change, Record, StoreEvent, Unreadable};

use crate::draw::Draw;
use crate::fixture::*;
use crate::seeds::every_seed;

/// `npm run soak` tries many more.
const HISTORIES: u64 = 200;
const PAGE: u64 = 4_096;

/// A closed store of so many messages, some of them sent, given up or delivered.
fn written(path: &Path, messages: u64) {
    let mut fixture = Fixture::open(path);
    let at = fixture.now();
    fixture.store.apply(inserts(1..=messages, at));
    fixture.store.apply((1..=messages / 10).map(|seq| depart(seq, at)).collect());
    fixture.store.apply((1..=messages / 20).map(|seq| deliver(seq, at)).collect());
    fixture.store.apply((messages / 20 + 1..=messages / 15).map(|seq| bury(seq, at)).collect());
    let seq = messages / 12;
    fixture.store.apply(vec![Change::Return {
        seq,
        attempts: 1,
        first_attempt_at: Some(at),
        ambiguous: false,
        batch: None,
    }]);
    let count = messages + messages / 10 + messages / 15 + 1;
    fixture.settled(count);
    fixture.close();
}

/// The files that were set aside beside a store.
fn set_aside(path: &Path) -> Vec<PathBuf> {
    let names = fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    let mut aside: Vec<PathBuf> = names.filter(|name| name.to_string_lossy().contains(".corrupt-")).collect();
    aside.sort();
    aside
}

fn leftovers(path: &Path) -> Vec<String> {
    let names =
        fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| [".recover", ".salvage", ".template"].iter().any(|part| name.contains(part))).collect()
}

#[test]
fn a_file_that_is_cut_in_its_header_is_replaced() {
    let (_original, original) = place();
    written(&original, 10);
    let sound = fs::read(&original).unwrap();
    for length in [15, 16, 17, 60, 71, 72, 99, 100, 512, 4_095] {
        let (_directory, path) = place();
        fs::write(&path, &sound[..length]).unwrap();
        let fixture = Fixture::open(&path);
        assert!(fixture.opening.salvage.set_aside.is_some(), "{length}");
        fixture.close();
    }
}

#[test]
fn what_was_never_a_database_is_refused_and_left_as_it_is() {
    let row = "\r\nc-17;2026-11-25;delivered;\"hello\"";
    // Also one that has what begins a page where a page begins.
    for text in ["id;day;state;text".to_owned(), row.repeat(1_000), format!("{:4096}{}", "id", row.repeat(300))] {
        let (_directory, path) = place();
        fs::write(&path, &text).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions();
        // The second time there is a file with a lock beside it.
        for _ in 0..2 {
            let error = Fixture::try_open(options(&path)).err().unwrap();
            assert_eq!(kind_of(&error), StoreErrorKind::Mismatch);
            let text = error.to_string();
            assert!(text.contains("is not an outbox") && text.contains("choose another path"), "{text}");
            for error in [Reader::open(&path).err().unwrap(), Editor::open(&path).err().unwrap()] {
                assert_eq!(kind_of(&error), StoreErrorKind::Mismatch, "{error}");
            }
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        assert_eq!(fs::metadata(&path).unwrap().permissions(), mode);
        assert_eq!((set_aside(&path), leftovers(&path)), (vec![], vec![]));
    }
}

#[test]
fn an_outbox_of_which_little_is_left_is_set_aside_and_replaced() {
    let (_directory, original) = place();
    written(&original, 100);
    let bytes = fs::read(&original).unwrap();
    let tables_alone = [vec![0xAA; 4_096], bytes[4_096..].to_vec()].concat();
    for left in [&bytes[..99], &bytes[..5_000], &tables_alone, &vec![0; 8_192]] {
        let (_directory, path) = place();
        fs::write(&path, left).unwrap();
        let fixture = Fixture::open(&path);
        assert_eq!(fs::read(fixture.aside().unwrap_or_else(|| panic!("{} bytes", left.len()))).unwrap(), left);
        fixture.close();
        let fixture = Fixture::open(&path);
        assert!(fixture.opening.salvage.set_aside.is_none(), "once");
        fixture.close();
        assert_eq!(leftovers(&path), Vec::<String>::new());
    }
}

#[cfg(unix)]
#[test]
fn a_file_that_is_damaged_and_has_no_name_is_set_aside_by_its_copy() {
    use std::os::unix::fs::FileExt;
    let (_directory, path) = place();
    written(&path, 10_000);
    // An opening reads all of it, and keeps the last pages in memory: one of the first is on the disk alone.
    let mut fixture = Fixture::open(&path);
    let at = fixture.now();
    let bytes = fs::read(&path).unwrap();
    let leaf = (bytes.len() / 4_096 / 5..).find(|page| bytes[page * 4_096] == 13).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    for suffix in ["", "-wal", "-shm"] {
        fs::remove_file(format!("{}{suffix}", path.display())).unwrap();
    }
    file.write_all_at(&[0; 4_096], leaf as u64 * PAGE).unwrap();
    fixture.store.apply(vec![depart(9_999, at)]);
    fixture.until(|fixture| fixture.restored == 1 && fixture.up_to == 1);
    assert_eq!(fixture.set_aside.len(), 1, "{:?}", fixture.degraded);
    let aside = fs::read(&fixture.set_aside[0]).unwrap();
    let page = leaf * 4_096..(leaf + 1) * 4_096;
    assert!(aside.len() == bytes.len() && aside[page].iter().all(|byte| *byte == 0), "set aside as it was");
    fixture.store.apply(vec![insert(10_001, at)]);
    fixture.settled(2);
    let lost = fixture.unreadable;
    assert!((1..50).contains(&lost), "{lost}");
    fixture.close();
    let fixture = Fixture::open(&path);
    assert_eq!(seqs(&fixture.found).len() as u64, 9_335 - lost);
    assert!(fixture.opening.salvage.set_aside.is_none() && seqs(&fixture.found).ends_with(&[9_999, 10_000, 10_001]));
    fixture.close();
    assert_eq!(leftovers(&path), Vec::<String>::new());
}

#[test]
fn what_lies_around_a_damaged_page_is_recovered() {
    let (_directory, path) = place();
    written(&path, 3_000);
    let mut bytes = fs::read(&path).unwrap();
    // A leaf of messages in the middle of the file.
    let leaf = (bytes.len() / 4_096 / 2..).find(|page| bytes[page * 4_096] == 13).unwrap();
    bytes[leaf * 4_096..(leaf + 1) * 4_096].fill(0);
    fs::write(&path, &bytes).unwrap();
    let mut fixture = Fixture::open(&path);
    let aside = fixture.aside().unwrap();
    assert_eq!(fs::read(aside).unwrap(), bytes);
    let found = seqs(&fixture.found);
    assert!(found.len() >= 2_780 && found.len() < 2_801, "{}", found.len());
    assert_eq!(fixture.opening.salvage.unreadable, 2_800 - found.len() as u64);
    assert!(found.is_sorted());
    assert_eq!(letters(&fixture.found).len(), 50);
    assert_eq!(fixture.opening.last_seq, 3_000);
    assert!(fixture.load(&found).iter().all(Option::is_some));
    fixture.close();
    let fixture = Fixture::open(&path);
    assert_eq!((seqs(&fixture.found), fixture.opening.salvage.set_aside.is_none()), (found, true));
    fixture.close();
}

#[test]
fn what_is_damaged_does_not_change_its_owner() {
    let (_directory, path) = place();
    written(&path, 100);
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute_batch("REPLACE INTO meta VALUES ('last_seq/0', 'last')")
        .unwrap();
    // A first page that is gone, and pages of the names: another organization that opens the file recovers it.
    for page in [1, 3, 8] {
        let mut bytes = fs::read(&path).unwrap();
        bytes[(page - 1) * 4_096..page * 4_096].fill(0xAA);
        fs::write(&path, &bytes).unwrap();
        let other = Fixture::try_open(Options { organization: "beta".into(), ..options(&path) }).unwrap();
        assert!(other.found.is_empty() && other.opening.salvage.set_aside.is_some(), "page {page}");
        other.close();
    }
    let fixture = Fixture::open(&path);
    assert_eq!(seqs(&fixture.found), (7..=100).collect::<Vec<_>>());
    fixture.close();
}

#[test]
fn a_lost_first_page_costs_nothing() {
    let (_directory, path) = place();
    written(&path, 1_000);
    for damage in [0..16, 0..4_096, 100..200] {
        let mut bytes = fs::read(&path).unwrap();
        bytes[damage].fill(0xAA);
        fs::write(&path, &bytes).unwrap();
        let fixture = Fixture::open(&path);
        assert!(fixture.opening.salvage.set_aside.is_some());
        assert_eq!((seqs(&fixture.found).len(), fixture.opening.salvage.unreadable), (934, 0));
        fixture.close();
    }
    assert_eq!(leftovers(&path), Vec::<String>::new());
}

#[test]
fn a_flipped_bit_in_a_text_is_noticed() {
    let (_directory, path) = place();
    written(&path, 100);
    let mut bytes = fs::read(&path).unwrap();
    let needle = b"m-77c-0";
    let at = bytes.windows(needle.len()).position(|window| window == needle).unwrap();
    bytes[at + 5] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let fixture = Fixture::open(&path);
    assert!(fixture.opening.salvage.set_aside.is_some());
    assert!(!seqs(&fixture.found).contains(&77), "a message must not reach another conversation");
    assert_eq!(fixture.opening.salvage.unreadable, 1);
    fixture.close();
}

#[test]
fn a_message_whose_text_is_damaged_is_named_when_its_turn_comes() {
    let (_directory, path) = place();
    let mut fixture = Fixture::open(&path);
    let at = fixture.now();
    fixture
        .store
        .apply((1..=3).map(|seq| Change::Insert { entry_id: 0, record: Box::new(sized(seq, at, 6_000)) }).collect());
    fixture.settled(3);
    fixture.close();
    let mut bytes = fs::read(&path).unwrap();
    // A page that is full of the second one's text: an opening reads none of it.
    let page = bytes.chunks(4_096).position(|page| page[4..].iter().all(|byte| *byte == b'c')).unwrap();
    bytes[page * 4_096 + 100] = b'x';
    fs::write(&path, bytes).unwrap();
    let fixture = Fixture::open(&path);
    assert!(fixture.opening.salvage.set_aside.is_none());
    fixture.store.load(vec![(0, 1), (0, 2), (0, 3), (0, 9)]);
    let StoreEvent::Loaded(loaded) = fixture.news.recv_timeout(PATIENCE).unwrap() else {
        panic!("nothing else to tell")
    };
    let told: Vec<_> =
        loaded.into_iter().map(|(_, _, outcome)| outcome.map(|record| record.message.id().to_owned())).collect();
    let damaged = Unreadable { id: Some("m-2".into()) };
    assert_eq!(told, [Ok("m-1".to_owned()), Err(damaged), Ok("m-3".to_owned()), Err(Unreadable::default())]);
    fixture.close();
}

#[test]
fn a_swap_that_a_crash_interrupts_anywhere_is_finished() {
    const PARTS: [&str; 3] = ["-wal", "-shm", ""];
    let (_directory, path) = place();
    written(&path, 100);
    let recovered = fs::read(&path).unwrap();
    // Which of the damaged parts have their new names already.
    for moved in 0..1 << PARTS.len() {
        let (_directory, path) = place();
        let name = |suffix: &str| PathBuf::from(format!("{}{suffix}", path.display()));
        for (index, suffix) in PARTS.iter().enumerate() {
            let aside = if moved & 1 << index == 0 { "" } else { ".corrupt-then" };
            fs::write(name(&format!("{aside}{suffix}")), format!("damaged {suffix}")).unwrap();
        }
        fs::write(name(".recovered-then"), &recovered).unwrap();
        let fixture = Fixture::open(&path);
        assert_eq!(fixture.aside(), Some(name(".corrupt-then")), "told by the run that finishes it");
        assert_eq!(seqs(&fixture.found), (7..=100).collect::<Vec<_>>());
        fixture.close();
        for suffix in PARTS {
            let aside = fs::read_to_string(name(&format!(".corrupt-then{suffix}"))).unwrap();
            assert_eq!(aside, format!("damaged {suffix}"), "set aside whole");
        }
        assert_eq!(leftovers(&path), Vec::<String>::new());
    }
}

/// Gives each row of the log and of the receipts the checksum of what is in it now.
fn sum_again(db: &rusqlite::Connection) {
    for (table, text) in [("wire", "log"), ("deliveries", "receipts")] {
        let mut statement = db.prepare(&format!("SELECT number, {text} FROM {table}")).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        let rows: Vec<(i64, String)> = rows.map(Result::unwrap).collect();
        for (number, text) in rows {
            let sum = i64::from(crc32fast::hash(&[&number.to_le_bytes(), text.as_bytes()].concat()));
            db.execute(&format!("UPDATE {table} SET sum = ?1 WHERE number = ?2"), [sum, number]).unwrap();
        }
    }
}

/// Statements that leave rows that make no sense; those of the second list in spite of a checksum that fits.
fn damages() -> impl Iterator<Item = (&'static str, bool)> {
    let plain = [
        "UPDATE wire SET log = replace(log, ',1,', ',2,')",
        // However many rows there are.
        "UPDATE wire SET number = number + 1 WHERE number = (SELECT max(number) FROM wire)",
        "UPDATE letters SET failure = '{' WHERE number = 2",
        "UPDATE letters SET at_ms = 'never' WHERE number = 2",
        "UPDATE deliveries SET receipts = replace(receipts, '202', '201')",
        // Numbers that have no next one.
        "UPDATE meta SET value = value + (1 << 55) WHERE name = 'last_seq/0'",
        "UPDATE returned SET attempts = 2",
        "UPDATE returned SET attempts = 'many'",
        "REPLACE INTO meta VALUES ('budget/0', x'00')",
        "REPLACE INTO meta VALUES ('last_seq/0', 'last')",
        // A statement no longer fits its table.
        "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, 'count', 'cound') WHERE name = 'deliveries'",
    ];
    let summed = [
        "UPDATE wire SET log = '['",
        "UPDATE deliveries SET receipts = replace(receipts, '202', '70000')",
        "UPDATE deliveries SET count = count + 1",
        "UPDATE deliveries SET number = 9223372036854775807",
        "UPDATE wire SET number = 9223372036854775807 WHERE number = (SELECT max(number) FROM wire)",
    ];
    plain.map(|damage| (damage, false)).into_iter().chain(summed.map(|damage| (damage, true)))
}

#[test]
fn rows_that_make_no_sense_are_left_behind_once() {
    for (damage, fits) in damages() {
        let (_directory, path) = place();
        written(&path, 300);
        let db = rusqlite::Connection::open(&path).unwrap();
        db.execute_batch(damage).unwrap();
        if fits {
            sum_again(&db);
        }
        drop(db);
        let fixture = Fixture::open(&path);
        assert!(fixture.opening.salvage.set_aside.is_some(), "{damage}");
        assert_eq!(seqs(&fixture.found), (21..=300).collect::<Vec<_>>(), "{damage}");
        fixture.close();
        let fixture = Fixture::open(&path);
        assert!(fixture.opening.salvage.set_aside.is_none(), "{damage}");
        assert_eq!(seqs(&fixture.found).len(), 280, "{damage}");
        fixture.close();
    }
}

#[test]
fn what_may_have_been_on_the_wire_counts_as_sent_where_nothing_may_be_sent_twice() {
    let heads = |presumed_sent| {
        let (_directory, path) = place();
        written(&path, 300);
        let damage = "UPDATE wire SET log = replace(log, ',1,', ',2,')";
        rusqlite::Connection::open(&path).unwrap().execute_batch(damage).unwrap();
        let fixture = Fixture::try_open(Options { presumed_sent, ..options(&path) }).unwrap();
        let (found, unreadable) = (sent(&fixture.found), fixture.opening.salvage.unreadable);
        fixture.close();
        assert_eq!(unreadable, 1);
        let fixture = Fixture::open(&path);
        assert_eq!(sent(&fixture.found), found, "it is known from then on");
        fixture.close();
        found
    };
    // Seven conversations, and messages from 21 on; the 25th came back, and may wait while the one behind it was sent.
    assert!(heads(0).is_empty());
    assert_eq!(heads(1), (21..=27).chain([32]).collect::<Vec<_>>());
    assert_eq!(heads(2), (21..=34).chain([39]).collect::<Vec<_>>());
}

#[test]
fn what_has_its_time_yet_to_come_does_not_count_as_sent() {
    let (_directory, path) = place();
    let mut fixture = Fixture::open(&path);
    let at = fixture.now();
    // Two of one conversation: the first may not leave for a day, so the second may have. The third's time has come.
    let times = [(1, Some(at.after(Duration::from_secs(86_400)))), (8, None), (3, Some(at))];
    let insertion =
        |(seq, not_before)| Change::Insert { entry_id: 0, record: Box::new(Record { not_before, ..record(seq, at) }) };
    fixture.store.apply(times.map(insertion).into());
    fixture.settled(3);
    fixture.close();
    rusqlite::Connection::open(&path).unwrap().execute_batch("INSERT INTO wire VALUES (1, 0, 1, '[')").unwrap();
    let fixture = Fixture::try_open(Options { presumed_sent: 1, ..options(&path) }).unwrap();
    assert!(fixture.opening.salvage.set_aside.is_some());
    assert_eq!(sent(&fixture.found), [3, 8]);
    fixture.close();
}

#[test]
fn a_damaged_file_opens_all_the_same() {
    let (_original_directory, original) = place();
    written(&original, 200);
    let sound = fs::read(&original).unwrap();
    every_seed("damaged files", HISTORIES, |seed| {
        let mut draw = Draw::stream(seed, 0);
        let (_directory, path) = place();
        let mut bytes = sound.clone();
        damage(&mut bytes, &mut draw);
        fs::write(&path, &bytes).unwrap();
        let fixture = match Fixture::try_open(options(&path)) {
            Ok(fixture) => fixture,
            Err(error) => panic!("{error}"),
        };
        let aside = set_aside(&path);
        assert_eq!(fixture.opening.salvage.set_aside.is_some(), !aside.is_empty());
        if let Some(aside) = aside.first() {
            assert_eq!(fs::read(aside).unwrap(), bytes, "set aside as it was");
        }
        let found = seqs(&fixture.found);
        let mut ascending = found.clone();
        ascending.sort_unstable();
        assert!(ascending.is_sorted_by(|one, next| one < next), "told twice: {found:?}");
        // What stood in the wrong place is told when the copy is read, after what was read before.
        assert!(found == ascending || fixture.opening.salvage.set_aside.is_some());
        goes_on(fixture, &path);
        assert_eq!(leftovers(&path), Vec::<String>::new());
    });
}

/// Takes a message, and has it in the next run.
fn goes_on(mut fixture: Fixture, path: &Path) {
    let seq = fixture.opening.last_seq.max(100_000) + 1;
    let at = fixture.now();
    fixture.store.apply(vec![insert(seq, at)]);
    fixture.until(|fixture| !fixture.kept.is_empty() || !fixture.refused.is_empty());
    if fixture.kept.is_empty() {
        // Damage where only writing looks: the store mends itself, and takes the next one.
        fixture.until(|fixture| fixture.restored == 1);
        let done = fixture.up_to;
        fixture.store.apply(vec![insert(seq, at)]);
        fixture.settled(done + 1);
        assert!(!fixture.kept.is_empty(), "{:?}", fixture.refused);
    }
    fixture.close();
    let fixture = Fixture::open(path);
    assert!(seqs(&fixture.found).contains(&seq));
    fixture.close();
    // Found at once or later, but once: what is recovered is sound.
    let aside = set_aside(path)
        .into_iter()
        .filter(|name| !name.to_string_lossy().ends_with("-wal") && !name.to_string_lossy().ends_with("-shm"));
    assert!(aside.count() <= 1, "{:?}", set_aside(path));
}

fn damage(bytes: &mut Vec<u8>, draw: &mut Draw) {
    let pages = bytes.len() as u64 / PAGE;
    match draw.below(5) {
        0 => {
            for _ in 0..=draw.below(20) {
                let at = usize::try_from(draw.below(bytes.len() as u64)).unwrap();
                bytes[at] ^= 1 << draw.below(8);
            }
        }
        1 => bytes.truncate(usize::try_from(1 + draw.below(bytes.len() as u64 - 1)).unwrap()),
        2 => {
            for _ in 0..=draw.below(4) {
                let at = usize::try_from(draw.below(pages) * PAGE).unwrap();
                bytes[at..at + 4_096].fill(0);
            }
        }
        3 => {
            let (one, other) =
                (usize::try_from(draw.below(pages)).unwrap(), usize::try_from(draw.below(pages)).unwrap());
            for offset in 0..4_096 {
                bytes.swap(one * 4_096 + offset, other * 4_096 + offset);
            }
        }
        _ => {
            // The headers of pages, where it hurts most.
            for _ in 0..=draw.below(6) {
                let at = usize::try_from(draw.below(pages) * PAGE + draw.below(12)).unwrap();
                bytes[at] = u8::try_from(draw.below(256)).unwrap();
            }
        }
    }
}

#[test]
fn a_damaged_log_is_set_aside_with_its_file() {
    let (directory, path) = place();
    let mut fixture = Fixture::open(&path);
    let at = fixture.now();
    for tick in 0..20 {
        fixture.store.apply(inserts(tick * 10 + 1..=tick * 10 + 10, at));
        fixture.settled(tick * 10 + 10);
    }
    // As a crash leaves it: a copy of what is there now, under another name.
    let crashed = directory.path().join("crashed.db");
    fs::copy(&path, &crashed).unwrap();
    fs::copy(directory.path().join("outbox.db-wal"), directory.path().join("crashed.db-wal")).unwrap();
    fixture.close();
    let sound = fs::read(directory.path().join("crashed.db-wal")).unwrap();
    let mut log = sound.clone();
    // Of what is written in it: behind that it has room.
    let written = log.iter().rposition(|byte| *byte != 0).unwrap();
    log[written * 3 / 4] ^= 0x10;
    fs::write(directory.path().join("crashed.db-wal"), &log).unwrap();
    let fixture = Fixture::open(&crashed);
    let found = seqs(&fixture.found);
    assert!(
        found.len() >= 50 && found.len() < 200 && found == (1..=found.len() as u64).collect::<Vec<_>>(),
        "{found:?}"
    );
    fixture.close();
    // The log without the file that it belongs to.
    fs::write(&crashed, b"").unwrap();
    fs::write(directory.path().join("crashed.db-wal"), &sound).unwrap();
    let fixture = Fixture::open(&crashed);
    assert_eq!(seqs(&fixture.found), (1..=200).collect::<Vec<_>>());
    let aside = fixture.aside().unwrap();
    assert_eq!(fs::read(format!("{}-wal", aside.display())).unwrap(), sound);
    fixture.close();
}

#[cfg(unix)]
#[test]
fn nothing_is_acknowledged_in_a_file_without_a_name() {
    let (directory, path) = place();
    let mut fixture = Fixture::open(&path);
    let at = fixture.now();
    fixture.store.apply(inserts(1..=3, at));
    fixture.settled(3);
    let moved = directory.path().join("moved");
    fs::create_dir(&moved).unwrap();
    for suffix in ["", "-wal", "-shm", "-lock"] {
        fs::rename(format!("{}{suffix}", path.display()), moved.join(format!("outbox.db{suffix}"))).unwrap();
    }
    fixture.store.apply(vec![insert(4, at), depart(1, at)]);
    fixture.until(|fixture| !fixture.degraded.is_empty() && !fixture.refused.is_empty());
    assert_eq!(kind_of(&fixture.degraded[0]), StoreErrorKind::Missing);
    // The directory is there, so a new file takes everything.
    fixture.until(|fixture| fixture.restored == 1);
    fixture.settled(5);
    let done = fixture.up_to;
    fixture.store.apply(vec![insert(5, at)]);
    fixture.settled(done + 1);
    assert_eq!(kind_of(&Fixture::try_open(options(&path)).err().unwrap()), StoreErrorKind::Locked);
    fixture.close();
    let fixture = Fixture::open(&path);
    assert_eq!(seqs(&fixture.found), [1, 2, 3, 5]);
    fixture.close();
}

#[test]
fn a_volume_that_comes_back_on_another_device_is_left_as_it_is_and_the_advice_is_to_reopen() {
    let (directory, path) = place();
    let mut fixture = Fixture::open(&path);
    let at = fixture.now();
    fixture.store.apply(inserts(1..=3, at));
    fixture.settled(3);
    // To whoever looks at the names, the same files on another device are other files.
    let before = directory.path().join("before");
    fs::create_dir(&before).unwrap();
    for suffix in ["", "-wal", "-shm", "-lock"] {
        let (name, moved) = (format!("{}{suffix}", path.display()), before.join(format!("outbox.db{suffix}")));
        fs::rename(&name, &moved).unwrap();
        fs::copy(&moved, &name).unwrap();
    }
    let bytes = fs::read(&path).unwrap();
    fixture.store.apply(vec![insert(4, at)]);
    fixture.until(|fixture| !fixture.degraded.is_empty() && !fixture.refused.is_empty());
    for error in [&fixture.degraded[0], &fixture.refused[0].1] {
        assert_eq!(kind_of(error), StoreErrorKind::Missing);
        let text = error.to_string();
        assert!(text.contains("its volume was mounted again") && text.contains("open it again"), "{text}");
    }
    fixture.close();
    assert_eq!(fs::read(&path).unwrap(), bytes, "what is there now is not written");
    let fixture = Fixture::open(&path);
    assert!(fixture.opening.salvage.set_aside.is_none());
    assert_eq!(seqs(&fixture.found), [1, 2, 3], "it is taken as it is");
    fixture.close();
}
