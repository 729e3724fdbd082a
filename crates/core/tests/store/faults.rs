//! The disk is full, or broken, from each operation of a history on, for a while: the store says so, refuses what is
//! new, keeps what it has, and goes on by itself.

use std::fs;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use spillway_core::error::Trouble;
use spillway_core::store::file::Options;
use spillway_core::store::{Change, News};
use spillway_powercut::{Disk, Failure, VFS, install};

use crate::draw::Draw;
use crate::model::Model;
use crate::rig::*;
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
    let mut rig = Rig::try_open(faulty(&path)).unwrap();
    drive(&mut rig, &disk);
    rig.close();
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
    let rig = match Rig::try_open(faulty(&path)) {
        Ok(rig) => Some(rig),
        Err(error) => {
            assert!(matches!(trouble(&error), Trouble::Full | Trouble::Failed), "{error}");
            disk.mend();
            None
        }
    };
    let mut rig = rig.unwrap_or_else(|| Rig::try_open(faulty(&path)).unwrap());
    let model = drive(&mut rig, &disk);
    assert_eq!(rig.troubled.len(), rig.healed, "operation {at}");
    rig.close();
    disk.mend();
    let rig = Rig::try_open(faulty(&path)).unwrap();
    assert!(rig.opening.salvage.set_aside.is_none());
    assert_eq!(Model::found(&rig.found, &rig.opening), model, "operation {at}");
    rig.close();
    disk.forget();
}

/// One batch after the other; a disk that fails is mended once the store has said so. What has to be in the file then.
fn drive(rig: &mut Rig, disk: &Disk) -> Model {
    let mut draw = Draw::stream(7, 0);
    let (mut model, mut next_seq, mut count) = (Model::default(), 0, 0);
    let at = rig.now();
    for _ in 0..12 {
        let (mut wanted, mut changes) = (model.clone(), Vec::new());
        for _ in 0..=draw.below(8) {
            let change = wanted.draw_change(&mut draw, &mut next_seq, at);
            wanted.apply(&change);
            changes.push(change);
        }
        count += changes.len() as u64;
        rig.store.apply(changes.clone());
        rig.until(|rig| {
            if rig.troubled.len() > rig.healed {
                disk.mend();
            }
            rig.up_to >= count && rig.troubled.len() == rig.healed
        });
        for change in &changes {
            let slot = match change {
                Change::Insert { slot, .. } | Change::Redrive { slot, .. } => Some(slot),
                _ => None,
            };
            let refused = slot.is_some_and(|slot| rig.refused.iter().any(|(other, _)| other == slot));
            assert!(slot.is_none_or(|slot| refused != rig.kept.contains(slot)), "kept, or refused");
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
    let mut rig = Rig::try_open(faulty(&path)).unwrap();
    let at = rig.now();
    disk.stall();
    rig.store.apply(inserts(1..=3, at));
    disk.wait_until_stalled();
    for seq in 4..=500 {
        rig.store.apply(vec![insert(seq, at)]);
    }
    assert!(rig.news.try_recv().is_err(), "nothing is told before it is durable");
    disk.go_on();
    let mut told = Vec::new();
    while rig.up_to < 500 {
        assert!(rig.hear(PATIENCE));
        told.push(rig.up_to);
    }
    assert_eq!(told, [3, 500], "one wait for the disk for all that came meanwhile");
    assert_eq!(rig.kept, (1..=500).collect::<Vec<_>>());
    assert!(rig.troubled.is_empty(), "slow is no trouble");
    rig.close();
    disk.forget();
}

#[test]
fn new_messages_are_refused_while_the_disk_is_full_and_old_ones_can_be_read() {
    install();
    let (directory, path) = place();
    let disk = Disk::of(directory.path());
    let mut rig = Rig::try_open(faulty(&path)).unwrap();
    let at = rig.now();
    rig.store.apply(inserts(1..=3, at));
    rig.settled(3);
    disk.fail_at(disk.operations() + 1, Failure::Full);
    rig.store.apply(vec![insert(4, at), depart(1, at), insert(5, at)]);
    rig.until(|rig| rig.refused.len() == 2 && rig.troubled.len() == 1);
    assert_eq!(trouble(&rig.troubled[0]), Trouble::Full);
    let text = rig.troubled[0].to_string();
    assert!(text.contains("outbox.db") && text.contains("full") && text.contains("free disk space"), "{text}");
    rig.store.apply(inserts(6..=7, at));
    rig.until(|rig| rig.refused.len() == 4);
    assert_eq!(rig.up_to, 4, "what is not durable is not told to be");
    rig.store.load(vec![(0, 2)]);
    let mut loaded = false;
    while !loaded {
        match rig.news.recv_timeout(PATIENCE).unwrap() {
            News::Loaded(records) => loaded = records[0].2.is_ok(),
            other => panic!("{other:?}"),
        }
    }
    assert!(!rig.hear(Duration::from_millis(300)), "trouble is told once");
    disk.mend();
    rig.until(|rig| rig.healed == 1);
    rig.settled(8);
    rig.store.apply(inserts(8..=9, at));
    rig.settled(10);
    rig.close();
    let rig = Rig::try_open(faulty(&path)).unwrap();
    assert_eq!(seqs(&rig.found), [1, 2, 3, 8, 9]);
    rig.close();
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
        let mut rig = Rig::try_open(faulty(&path)).unwrap();
        let at = rig.now();
        rig.store.apply(vec![insert(1, at)]);
        rig.settled(1);
        disk.fail_at(disk.operations() + later, Failure::Broken);
        rig.store.apply(vec![insert(2, at)]);
        rig.until(|rig| rig.refused.len() == 1 || rig.kept.len() == 2);
        let refused = !rig.refused.is_empty();
        // As the end of the process leaves it.
        let crashed = directory.path().join("crashed.db");
        for suffix in ["", "-wal"] {
            fs::copy(format!("{}{suffix}", path.display()), format!("{}{suffix}", crashed.display())).unwrap();
        }
        let mut after = Rig::open(&crashed);
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
        rig.until(|rig| rig.healed == rig.troubled.len());
        rig.close();
        let rig = Rig::try_open(faulty(&path)).unwrap();
        assert_eq!(seqs(&rig.found).contains(&2), !refused, "operation {later}: where it goes on it is gone");
        rig.close();
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
    let mut rig = Rig::try_open(faulty(&path)).unwrap();
    let at = rig.now();
    let mut told = Vec::new();
    disk.fail_at(disk.operations() + 1, Failure::Full);
    rig.store.apply(vec![depart(1, at)]);
    for (next, expected) in [(Failure::Broken, Trouble::Full), (Failure::Full, Trouble::Failed)] {
        rig.until(|rig| rig.troubled.last().is_some_and(|error| trouble(error) == expected));
        told.push(rig.troubled.last().unwrap().to_string());
        disk.fail_at(disk.operations(), next);
    }
    rig.until(|rig| rig.troubled.last().is_some_and(|error| trouble(error) == Trouble::Full));
    assert!(!rig.hear(Duration::from_millis(300)), "and not for each try");
    disk.mend();
    rig.until(|rig| rig.healed == 1 && rig.up_to == 1);
    assert!(told[0] != told[1] && rig.troubled.len() == 1, "{told:?}");
    rig.close();
    disk.forget();
}

#[test]
fn what_cannot_be_read_for_now_stays_asked_for() {
    install();
    let (directory, path) = place();
    let disk = Disk::of(directory.path());
    let mut rig = Rig::try_open(faulty(&path)).unwrap();
    let at = rig.now();
    let large = |seq| Change::Insert { slot: 0, record: Box::new(sized(seq, at, 50_000)) };
    rig.store.apply(vec![large(1), large(2)]);
    rig.settled(2);
    rig.close();
    // An opening reads no texts, so that these are on the disk alone.
    let mut rig = Rig::try_open(faulty(&path)).unwrap();
    disk.fail_at(disk.operations(), Failure::Dead);
    rig.store.load(vec![(0, 1), (0, 2), (0, 3)]);
    rig.until(|rig| rig.troubled.len() == 1);
    assert_eq!(trouble(&rig.troubled[0]), Trouble::Failed);
    // No answer; but by now writing is the problem, too.
    rig.listen(Duration::from_millis(300));
    assert_eq!((rig.troubled.len(), rig.healed), (1, 0));
    disk.mend();
    match rig.news.recv_timeout(PATIENCE).unwrap() {
        News::Loaded(loaded) => {
            let read: Vec<bool> = loaded.iter().map(|(.., record)| record.is_ok()).collect();
            assert_eq!(read, [true, true, false], "what isn't there is all that is missing");
        }
        other => panic!("{other:?}"),
    }
    rig.until(|rig| rig.healed == 1);
    rig.close();
    disk.forget();
}

/// Listens until a try has come upon a disk that fails, or has gone well, however long the machine takes; and until it
/// has ended.
fn until_a_try_ends(rig: &mut Rig, disk: &Disk) {
    for _ in 0..2_000 {
        if disk.has_failed() || rig.healed > 0 {
            break;
        }
        rig.hear(Duration::from_millis(10));
    }
    rig.listen(Duration::from_millis(60));
}

/// Trouble at which the store waits until it is let go, so that what it does next can be arranged.
fn held_in_trouble(path: &Path) -> (Rig, mpsc::Sender<()>) {
    let (go_on, gate) = mpsc::channel();
    let wait = move || {
        let _ = gate.recv_timeout(PATIENCE);
    };
    let rig = Rig::try_open_with(faulty(path), wait).unwrap();
    (rig, go_on)
}

#[test]
fn an_insert_is_kept_or_refused_wherever_a_mending_fails() {
    install();
    let mut failed = 0;
    for later in 1.. {
        let (directory, path) = place();
        let disk = Disk::of(directory.path());
        let (mut rig, go_on) = held_in_trouble(&path);
        let at = rig.now();
        rig.store.apply(inserts(1..=2, at));
        rig.settled(2);
        disk.fail_at(disk.operations(), Failure::Broken);
        rig.store.apply(vec![depart(1, at)]);
        rig.until(|rig| rig.troubled.len() == 1);
        // It comes when the store is about to try again, and that try fails somewhere.
        rig.store.apply(vec![insert(3, at)]);
        rig.listen(Duration::from_millis(70));
        disk.fail_at(disk.operations() + later, Failure::Broken);
        go_on.send(()).unwrap();
        until_a_try_ends(&mut rig, &disk);
        let reached = disk.has_failed();
        failed += u64::from(reached);
        disk.mend();
        rig.until(|rig| rig.healed == 1 && rig.up_to >= 4);
        let kept = rig.kept.contains(&3);
        assert_ne!(kept, rig.refused.iter().any(|(slot, _)| *slot == 3), "operation {later}");
        drop(go_on);
        rig.close();
        let rig = Rig::try_open(faulty(&path)).unwrap();
        assert_eq!(seqs(&rig.found).contains(&3), kept, "operation {later}");
        rig.close();
        disk.forget();
        if !reached {
            break;
        }
    }
    assert!(failed > 3, "{failed}");
}

/// A file that has forgotten what pages of its first message's text are for: who takes that message out comes upon it.
fn damaged(path: &Path) {
    let mut rig = Rig::try_open(faulty(path)).unwrap();
    let at = rig.now();
    rig.store.apply((1..=3).map(|seq| Change::Insert { slot: 0, record: Box::new(sized(seq, at, 50_000)) }).collect());
    rig.settled(3);
    rig.close();
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
        let (mut rig, go_on) = held_in_trouble(&path);
        let at = rig.now();
        rig.store.apply(vec![deliver(1, at)]);
        rig.until(|rig| rig.troubled.len() == 1);
        assert_eq!(trouble(&rig.troubled[0]), Trouble::Corrupt);
        disk.fail_at(disk.operations() + later, Failure::Dead);
        drop(go_on);
        until_a_try_ends(&mut rig, &disk);
        let reached = disk.has_failed();
        failed += u64::from(reached);
        // The one is told right behind the other, on a disk that may still fail.
        while rig.healed > 0 && rig.up_to < 1 {
            assert!(rig.hear(PATIENCE), "operation {later}: healed, and nothing written");
        }
        disk.mend();
        rig.until(|rig| rig.healed == rig.troubled.len() && rig.up_to == 1);
        let aside = rig.set_aside.last().unwrap_or_else(|| panic!("operation {later}: it is not told where"));
        assert!(aside.exists(), "operation {later}");
        assert_eq!(rig.unreadable, 0, "operation {later}: only its list of pages is damaged");
        rig.store.apply(vec![insert(4, at)]);
        rig.settled(2);
        assert_eq!(rig.kept, [4], "operation {later}");
        rig.close();
        let rig = Rig::try_open(faulty(&path)).unwrap();
        assert_eq!(seqs(&rig.found), [2, 3, 4], "operation {later}");
        rig.close();
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
        let (mut rig, go_on) = held_in_trouble(&path);
        let at = rig.now();
        rig.store.apply(inserts(1..=3, at));
        rig.settled(3);
        for suffix in ["", "-wal", "-shm"] {
            fs::remove_file(format!("{}{suffix}", path.display())).unwrap();
        }
        rig.store.apply(vec![depart(1, at)]);
        rig.until(|rig| rig.troubled.len() == 1);
        assert_eq!(trouble(&rig.troubled[0]), Trouble::Missing);
        disk.fail_at(disk.operations() + later, Failure::Broken);
        drop(go_on);
        until_a_try_ends(&mut rig, &disk);
        let reached = disk.has_failed();
        if let Some(file) = disk.failed_on() {
            let is_copy = file.to_string_lossy().contains(".recovering");
            // Whatever fails at the store itself comes after its copy has its name.
            assert!(is_copy || path.exists(), "operation {later}: the copy has lost its name");
            copying += u64::from(is_copy);
            named += u64::from(!is_copy);
        }
        disk.mend();
        rig.until(|rig| rig.healed == rig.troubled.len() && rig.up_to == 4);
        rig.store.apply(vec![insert(4, at)]);
        rig.settled(5);
        rig.close();
        let rig = Rig::try_open(faulty(&path)).unwrap();
        assert_eq!(seqs(&rig.found), [1, 2, 3, 4], "operation {later}");
        rig.close();
        disk.forget();
        if !reached {
            break;
        }
    }
    assert!(copying > 3 && named > 1, "{copying} {named}");
}
