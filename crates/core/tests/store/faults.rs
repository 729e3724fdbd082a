//! The disk is full, or broken, from each operation of a history on, for a while: the store says so, refuses what is
//! new, keeps what it has, and goes on by itself.

use std::fs;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use spillway_core::error::StoreErrorKind;
use spillway_core::store::file::Options;
use spillway_core::store::{Change, StoreEvent};
use spillway_powercut::{Disk, Failure, VFS, install};

use crate::draw::Draw;
use crate::fixture::*;
use crate::model::Model;
use crate::seeds::every_seed;

#[test]
fn a_full_disk_loses_nothing_wherever_it_begins() {
    install();
    let operations = operations();
    every_seed("full disk", operations, |at| history(at + 1, Failure::Full));
}

#[test]
fn a_broken_disk_loses_nothing_wherever_it_begins() {
    install();
    let operations = operations();
    every_seed("broken disk", operations, |at| history(at + 1, Failure::Broken));
}

#[test]
fn a_disk_that_makes_nothing_durable_loses_nothing_wherever_it_begins() {
    install();
    let operations = operations();
    every_seed("unsynced disk", operations, |at| history(at + 1, Failure::Unsynced));
}

/// Operations of the history when nothing fails.
fn operations() -> u64 {
    let (directory, path) = place();
    let disk = Disk::of(directory.path());
    let mut fixture = Fixture::try_open(faulty(&path)).unwrap();
    drive(&mut fixture, &disk);
    fixture.close();
    let operations = disk.operations();
    disk.forget();
    assert!(operations > 60, "{operations}");
    operations
}

fn faulty(path: &Path) -> Options {
    Options { vfs: Some(VFS.into()), checkpoint_bytes: 8_192, ..options(path) }
}

fn history(at: u64, failure: Failure) {
    let (directory, path) = place();
    let disk = Disk::of(directory.path());
    disk.fail_at(at, failure);
    let fixture = match Fixture::try_open(faulty(&path)) {
        Ok(fixture) => Some(fixture),
        Err(error) => {
            assert!(matches!(kind_of(&error), StoreErrorKind::Full | StoreErrorKind::Failed), "{error}");
            disk.mend();
            None
        }
    };
    let mut fixture = fixture.unwrap_or_else(|| Fixture::try_open(faulty(&path)).unwrap());
    let model = drive(&mut fixture, &disk);
    assert_eq!(fixture.degraded.len(), fixture.restored, "operation {at}");
    fixture.close();
    disk.mend();
    let fixture = Fixture::try_open(faulty(&path)).unwrap();
    assert!(fixture.opening.salvage.set_aside.is_none());
    assert_eq!(Model::found(&fixture.found, &fixture.opening), model, "operation {at}");
    fixture.close();
    disk.forget();
}

/// One batch after the other; a disk that fails is mended once the store has said so. What has to be in the file then.
fn drive(fixture: &mut Fixture, disk: &Disk) -> Model {
    let mut draw = Draw::stream(7, 0);
    let (mut model, mut next_seq, mut count) = (Model::default(), 0, 0);
    let at = fixture.now();
    for _ in 0..12 {
        let (mut wanted, mut changes) = (model.clone(), Vec::new());
        for _ in 0..=draw.below(8) {
            let change = wanted.draw_change(&mut draw, &mut next_seq, at);
            wanted.apply(&change);
            changes.push(change);
        }
        count += changes.len() as u64;
        fixture.store.apply(changes.clone());
        fixture.until(|fixture| {
            if fixture.degraded.len() > fixture.restored {
                disk.mend();
            }
            fixture.up_to >= count && fixture.degraded.len() == fixture.restored
        });
        for change in &changes {
            let entry_id = match change {
                Change::Insert { entry_id, .. } | Change::Redrive { entry_id, .. } => Some(entry_id),
                _ => None,
            };
            let refused = entry_id.is_some_and(|entry_id| fixture.refused.iter().any(|(other, _)| other == entry_id));
            assert!(entry_id.is_none_or(|entry_id| refused != fixture.kept.contains(entry_id)), "kept, or refused");
            if !refused {
                model.apply(change);
            }
        }
    }
    model
}

#[test]
fn a_slow_disk_holds_up_acknowledgements_alone_and_what_comes_meanwhile_is_written_together() {
    install();
    let (directory, path) = place();
    let disk = Disk::of(directory.path());
    let mut fixture = Fixture::try_open(faulty(&path)).unwrap();
    let at = fixture.now();
    disk.stall();
    fixture.store.apply(inserts(1..=3, at));
    disk.wait_until_stalled();
    for seq in 4..=500 {
        fixture.store.apply(vec![insert(seq, at)]);
    }
    assert!(fixture.news.try_recv().is_err(), "nothing is told before it is durable");
    disk.go_on();
    let mut told = Vec::new();
    while fixture.up_to < 500 {
        assert!(fixture.hear(PATIENCE));
        told.push(fixture.up_to);
    }
    assert_eq!(told, [3, 500], "one wait for the disk for all that came meanwhile");
    assert_eq!(fixture.kept, (1..=500).collect::<Vec<_>>());
    assert!(fixture.degraded.is_empty(), "slow is no failure");
    fixture.close();
    disk.forget();
}

#[test]
fn new_messages_are_refused_while_the_disk_is_full_and_old_ones_can_be_read() {
    install();
    let (directory, path) = place();
    let disk = Disk::of(directory.path());
    let mut fixture = Fixture::try_open(faulty(&path)).unwrap();
    let at = fixture.now();
    fixture.store.apply(inserts(1..=3, at));
    fixture.settled(3);
    disk.fail_at(disk.operations() + 1, Failure::Full);
    fixture.store.apply(vec![insert(4, at), depart(1, at), insert(5, at)]);
    fixture.until(|fixture| fixture.refused.len() == 2 && fixture.degraded.len() == 1);
    assert_eq!(kind_of(&fixture.degraded[0]), StoreErrorKind::Full);
    let text = fixture.degraded[0].to_string();
    assert!(text.contains("outbox.db") && text.contains("full") && text.contains("free disk space"), "{text}");
    fixture.store.apply(inserts(6..=7, at));
    fixture.until(|fixture| fixture.refused.len() == 4);
    assert_eq!(fixture.up_to, 4, "what is not durable is not told to be");
    fixture.store.load(vec![(0, 2)]);
    let mut loaded = false;
    while !loaded {
        match fixture.news.recv_timeout(PATIENCE).unwrap() {
            StoreEvent::Loaded(records) => loaded = records[0].2.is_ok(),
            other => panic!("{other:?}"),
        }
    }
    assert!(!fixture.hear(Duration::from_millis(300)), "a failure is told once");
    disk.mend();
    fixture.until(|fixture| fixture.restored == 1);
    fixture.settled(8);
    fixture.store.apply(inserts(8..=9, at));
    fixture.settled(10);
    fixture.close();
    let fixture = Fixture::try_open(faulty(&path)).unwrap();
    assert_eq!(seqs(&fixture.found), [1, 2, 3, 8, 9]);
    fixture.close();
    disk.forget();
}

/// Its frames are whole in the log when only making them durable fails. They are written over by the next commit, and
/// count until then if the process ends: nothing can take them back on a disk that is broken.
#[test]
fn a_refused_message_is_either_gone_after_a_crash_or_there_whole_under_its_id() {
    install();
    // The log stays as it is: nothing is moved out of it meanwhile.
    let faulty = |path: &Path| Options { vfs: Some(VFS.into()), ..options(path) };
    let mut there = 0;
    for later in 1.. {
        let (directory, path) = place();
        let disk = Disk::of(directory.path());
        let mut fixture = Fixture::try_open(faulty(&path)).unwrap();
        let at = fixture.now();
        fixture.store.apply(vec![insert(1, at)]);
        fixture.settled(1);
        disk.fail_at(disk.operations() + later, Failure::Broken);
        fixture.store.apply(vec![insert(2, at)]);
        fixture.until(|fixture| fixture.refused.len() == 1 || fixture.kept.len() == 2);
        let refused = !fixture.refused.is_empty();
        // As the end of the process leaves it.
        let crashed = directory.path().join("crashed.db");
        for suffix in ["", "-wal"] {
            fs::copy(format!("{}{suffix}", path.display()), format!("{}{suffix}", crashed.display())).unwrap();
        }
        let mut after = Fixture::open(&crashed);
        assert!(after.opening.salvage.set_aside.is_none(), "operation {later}");
        let found = seqs(&after.found);
        if refused && found.contains(&2) {
            there += 1;
            let message = after.load(&[2]).remove(0).unwrap().message;
            assert_eq!((message.id(), message.body()), ("m-2", record(2, at).message.body()));
        } else {
            assert_eq!(found.len(), 1 + usize::from(!refused), "operation {later}");
        }
        after.close();
        disk.mend();
        fixture.until(|fixture| fixture.restored == fixture.degraded.len());
        fixture.close();
        let fixture = Fixture::try_open(faulty(&path)).unwrap();
        assert_eq!(seqs(&fixture.found).contains(&2), !refused, "operation {later}: where it goes on it is gone");
        fixture.close();
        disk.forget();
        if !refused {
            break;
        }
    }
    assert_eq!(there, 1, "only where making it durable is what fails");
}

#[test]
fn trouble_is_told_again_when_its_reason_is_another_one() {
    install();
    let (directory, path) = place();
    let disk = Disk::of(directory.path());
    let mut fixture = Fixture::try_open(faulty(&path)).unwrap();
    let at = fixture.now();
    let mut told = Vec::new();
    disk.fail_at(disk.operations() + 1, Failure::Full);
    fixture.store.apply(vec![depart(1, at)]);
    for (next, expected) in [(Failure::Broken, StoreErrorKind::Full), (Failure::Full, StoreErrorKind::Failed)] {
        fixture.until(|fixture| fixture.degraded.last().is_some_and(|error| kind_of(error) == expected));
        told.push(fixture.degraded.last().unwrap().to_string());
        disk.fail_at(disk.operations(), next);
    }
    fixture.until(|fixture| fixture.degraded.last().is_some_and(|error| kind_of(error) == StoreErrorKind::Full));
    assert!(!fixture.hear(Duration::from_millis(300)), "and not for each try");
    disk.mend();
    fixture.until(|fixture| fixture.restored == 1 && fixture.up_to == 1);
    assert!(told[0] != told[1] && fixture.degraded.len() == 1, "{told:?}");
    fixture.close();
    disk.forget();
}

#[test]
fn what_cannot_be_read_for_now_stays_asked_for() {
    install();
    let (directory, path) = place();
    let disk = Disk::of(directory.path());
    let mut fixture = Fixture::try_open(faulty(&path)).unwrap();
    let at = fixture.now();
    let large = |seq| Change::Insert { entry_id: 0, record: Box::new(sized(seq, at, 50_000)) };
    fixture.store.apply(vec![large(1), large(2)]);
    fixture.settled(2);
    fixture.close();
    // An opening reads no texts, so that these are on the disk alone.
    let mut fixture = Fixture::try_open(faulty(&path)).unwrap();
    disk.fail_at(disk.operations(), Failure::Dead);
    fixture.store.load(vec![(0, 1), (0, 2), (0, 3)]);
    fixture.until(|fixture| fixture.degraded.len() == 1);
    assert_eq!(kind_of(&fixture.degraded[0]), StoreErrorKind::Failed);
    // No answer; but by now writing is the problem, too.
    fixture.listen(Duration::from_millis(300));
    assert_eq!((fixture.degraded.len(), fixture.restored), (1, 0));
    disk.mend();
    match fixture.news.recv_timeout(PATIENCE).unwrap() {
        StoreEvent::Loaded(loaded) => {
            let read: Vec<bool> = loaded.iter().map(|(.., record)| record.is_ok()).collect();
            assert_eq!(read, [true, true, false], "what isn't there is all that is missing");
        }
        other => panic!("{other:?}"),
    }
    fixture.until(|fixture| fixture.restored == 1);
    fixture.close();
    disk.forget();
}

/// Listens until a try has come upon a disk that fails, or has gone well, however long the machine takes; and until it
/// has ended.
fn until_a_try_ends(fixture: &mut Fixture, disk: &Disk) {
    for _ in 0..2_000 {
        if disk.has_failed() || fixture.restored > 0 {
            break;
        }
        fixture.hear(Duration::from_millis(10));
    }
    fixture.listen(Duration::from_millis(60));
}

/// Trouble at which the store waits until it is let go, so that what it does next can be arranged.
fn held_in_trouble(path: &Path) -> (Fixture, mpsc::Sender<()>) {
    let (go_on, gate) = mpsc::channel();
    let wait = move || {
        let _ = gate.recv_timeout(PATIENCE);
    };
    let fixture = Fixture::try_open_with(faulty(path), wait).unwrap();
    (fixture, go_on)
}

#[test]
fn an_insert_is_kept_or_refused_wherever_a_mending_fails() {
    install();
    let mut failed = 0;
    for later in 1.. {
        let (directory, path) = place();
        let disk = Disk::of(directory.path());
        let (mut fixture, go_on) = held_in_trouble(&path);
        let at = fixture.now();
        fixture.store.apply(inserts(1..=2, at));
        fixture.settled(2);
        disk.fail_at(disk.operations(), Failure::Broken);
        fixture.store.apply(vec![depart(1, at)]);
        fixture.until(|fixture| fixture.degraded.len() == 1);
        // It comes when the store is about to try again, and that try fails somewhere.
        fixture.store.apply(vec![insert(3, at)]);
        fixture.listen(Duration::from_millis(70));
        disk.fail_at(disk.operations() + later, Failure::Broken);
        go_on.send(()).unwrap();
        until_a_try_ends(&mut fixture, &disk);
        let reached = disk.has_failed();
        failed += u64::from(reached);
        disk.mend();
        fixture.until(|fixture| fixture.restored == 1 && fixture.up_to >= 4);
        let kept = fixture.kept.contains(&3);
        assert_ne!(kept, fixture.refused.iter().any(|(entry_id, _)| *entry_id == 3), "operation {later}");
        drop(go_on);
        fixture.close();
        let fixture = Fixture::try_open(faulty(&path)).unwrap();
        assert_eq!(seqs(&fixture.found).contains(&3), kept, "operation {later}");
        fixture.close();
        disk.forget();
        if !reached {
            break;
        }
    }
    assert!(failed > 3, "{failed}");
}

/// A file that has forgotten what pages of its first message's text are for: who takes that message out comes upon it.
fn damaged(path: &Path) {
    let mut fixture = Fixture::try_open(faulty(path)).unwrap();
    let at = fixture.now();
    fixture
        .store
        .apply((1..=3).map(|seq| Change::Insert { entry_id: 0, record: Box::new(sized(seq, at, 50_000)) }).collect());
    fixture.settled(3);
    fixture.close();
    let mut bytes = fs::read(path).unwrap();
    let full_of_b = |page: &[u8]| page[4..].iter().all(|byte| *byte == b'b');
    let page = bytes.chunks(4_096).position(full_of_b).unwrap();
    // The second page has five bytes for each page behind it; the text goes on on the next ones.
    let entry = 4_096 + (page - 1) * 5;
    bytes[entry..entry + 15].fill(0);
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_damaged_file_is_replaced_wherever_a_try_fails() {
    install();
    let mut failed = 0;
    // There are about two hundred.
    for later in (0..).step_by(3) {
        let (directory, path) = place();
        let disk = Disk::of(directory.path());
        damaged(&path);
        let (mut fixture, go_on) = held_in_trouble(&path);
        let at = fixture.now();
        fixture.store.apply(vec![deliver(1, at)]);
        fixture.until(|fixture| fixture.degraded.len() == 1);
        assert_eq!(kind_of(&fixture.degraded[0]), StoreErrorKind::Corrupt);
        disk.fail_at(disk.operations() + later, Failure::Dead);
        drop(go_on);
        until_a_try_ends(&mut fixture, &disk);
        let reached = disk.has_failed();
        failed += u64::from(reached);
        // The one is told right behind the other, on a disk that may still fail.
        while fixture.restored > 0 && fixture.up_to < 1 {
            assert!(fixture.hear(PATIENCE), "operation {later}: restored, and nothing written");
        }
        disk.mend();
        fixture.until(|fixture| fixture.restored == fixture.degraded.len() && fixture.up_to == 1);
        let aside = fixture.set_aside.last().unwrap_or_else(|| panic!("operation {later}: it is not told where"));
        assert!(aside.exists(), "operation {later}");
        assert_eq!(fixture.unreadable, 0, "operation {later}: only its list of pages is damaged");
        fixture.store.apply(vec![insert(4, at)]);
        fixture.settled(2);
        assert_eq!(fixture.kept, [4], "operation {later}");
        fixture.close();
        let fixture = Fixture::try_open(faulty(&path)).unwrap();
        assert_eq!(seqs(&fixture.found), [2, 3, 4], "operation {later}");
        fixture.close();
        disk.forget();
        if !reached {
            break;
        }
    }
    assert!(failed > 10, "{failed}");
}

#[cfg(unix)]
#[test]
fn a_file_brought_back_has_a_name_from_the_first_copy_on() {
    install();
    let (mut copying, mut named) = (0, 0);
    // There are about two hundred.
    for later in (0..).step_by(3) {
        let (directory, path) = place();
        let disk = Disk::of(directory.path());
        let (mut fixture, go_on) = held_in_trouble(&path);
        let at = fixture.now();
        fixture.store.apply(inserts(1..=3, at));
        fixture.settled(3);
        for suffix in ["", "-wal", "-shm"] {
            fs::remove_file(format!("{}{suffix}", path.display())).unwrap();
        }
        fixture.store.apply(vec![depart(1, at)]);
        fixture.until(|fixture| fixture.degraded.len() == 1);
        assert_eq!(kind_of(&fixture.degraded[0]), StoreErrorKind::Missing);
        disk.fail_at(disk.operations() + later, Failure::Broken);
        drop(go_on);
        until_a_try_ends(&mut fixture, &disk);
        let reached = disk.has_failed();
        if let Some(file) = disk.failed_on() {
            let is_copy = file.to_string_lossy().contains(".recovering");
            // Whatever fails at the store itself comes after its copy has its name.
            assert!(is_copy || path.exists(), "operation {later}: the copy has lost its name");
            copying += u64::from(is_copy);
            named += u64::from(!is_copy);
        }
        disk.mend();
        fixture.until(|fixture| fixture.restored == fixture.degraded.len() && fixture.up_to == 4);
        fixture.store.apply(vec![insert(4, at)]);
        fixture.settled(5);
        fixture.close();
        let fixture = Fixture::try_open(faulty(&path)).unwrap();
        assert_eq!(seqs(&fixture.found), [1, 2, 3, 4], "operation {later}");
        fixture.close();
        disk.forget();
        if !reached {
            break;
        }
    }
    assert!(copying > 3 && named > 1, "{copying} {named}");
}
