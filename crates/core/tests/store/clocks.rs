//! Clocks that jump, stand still and begin anew between two runs, and what becomes of a file's times.

use std::time::Duration;

use spillway_core::clock::{Displacement, Timestamp};
use spillway_core::store::file::{Editor, Options, Reader};
use spillway_core::store::{Change, Row};

use super::fixture::{Fixture, deliver, depart, insert, options, place, record, save, seqs, settled_ids};

const HOUR: Duration = Duration::from_secs(3_600);
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// Far more than a run takes.
const RUN: Duration = Duration::from_secs(600);
/// Changes after which receipts are swept.
const MANY: u64 = 5_000;

fn wall(wall_ms: i64) -> Displacement {
    Displacement { wall_ms, ..Displacement::default() }
}

fn rebooted(boots: u32, wall_ms: i64) -> Displacement {
    Displacement { boots, wall_ms, ..Displacement::default() }
}

fn suspended(suspended: Duration, wall_ms: i64) -> Displacement {
    Displacement { suspended, wall_ms, ..Displacement::default() }
}

/// Makes the store look for receipts that are too old.
fn sweep(fixture: &mut Fixture) {
    let count = fixture.up_to + MANY;
    fixture.store.apply((0..MANY).map(|number| Change::DropLetter { id: format!("none-{number}").into() }).collect());
    fixture.settled(count);
    // It has swept when it takes the next change.
    fixture.store.apply(vec![Change::DropLetter { id: "none".into() }]);
    fixture.settled(count + 1);
}

#[test]
fn a_budget_ages_by_time_that_has_surely_passed() {
    for (between, has_passed) in [
        (wall(0), false),
        (wall(HOUR_MS), false),
        (wall(-HOUR_MS), false),
        (wall(400 * DAY_MS), false),
        (suspended(HOUR, 0), true),
        (suspended(HOUR, HOUR_MS), true),
        (suspended(HOUR, -DAY_MS), true),
        (rebooted(1, 0), false),
        (rebooted(1, HOUR_MS), false),
        (rebooted(1, -HOUR_MS), false),
    ] {
        let (_directory, path) = place();
        let mut fixture = Fixture::open(&path);
        let at = fixture.now();
        fixture.store.apply(vec![insert(1, at), save("{}", [], at), depart(1, at)]);
        fixture.settled(3);
        fixture.close();

        let fixture = Fixture::open_displaced(&path, between);
        let now = fixture.now();
        for at in [fixture.opening.budget_at.unwrap(), fixture.opening.departed[0]] {
            let aged = now.since(at);
            let expected = if has_passed { HOUR..HOUR + RUN } else { Duration::ZERO..RUN };
            assert!(expected.contains(&aged), "{between:?}: {aged:?}");
        }
        fixture.close();
    }
}

#[test]
fn a_message_expires_by_time_that_has_passed_as_far_as_the_machine_knows() {
    for (between, has_passed) in [
        (wall(HOUR_MS), false),
        (wall(-HOUR_MS), false),
        (suspended(HOUR, 0), true),
        (suspended(HOUR, -DAY_MS), true),
        (rebooted(1, 0), false),
        (rebooted(1, HOUR_MS), true),
        (rebooted(1, -DAY_MS), false),
    ] {
        let (_directory, path) = place();
        let mut fixture = Fixture::open(&path);
        let at = fixture.now();
        let mut record = record(1, at);
        (record.expires_at, record.not_before) = (Some(at.after(HOUR)), Some(at.after(HOUR)));
        fixture.store.apply(vec![Change::Insert { entry_id: 1, record: Box::new(record) }]);
        fixture.settled(1);
        fixture.close();

        let mut fixture = Fixture::open_displaced(&path, between);
        let now = fixture.now();
        let [Row::Waiting(waiting)] = &fixture.found[..] else { panic!("{:?}", fixture.found) };
        let expires_at = waiting.expires_at.unwrap();
        let loaded = fixture.load(&[1]).pop().unwrap().unwrap();
        for at in [Some(expires_at), loaded.expires_at, loaded.not_before] {
            let left = at.unwrap().since(now);
            assert_eq!(left.is_zero(), has_passed, "{between:?}: {left:?}");
            assert!(has_passed || left > HOUR - RUN && left <= HOUR, "{between:?}: {left:?}");
        }
        fixture.close();
    }
}

#[test]
fn no_clock_makes_an_id_forgotten_that_is_remembered() {
    let (_directory, path) = place();
    let mut known = Vec::new();
    // Each run delivers one, sweeps, and finds all that were delivered before it: in a minute none is a day old.
    for (seq, between) in (1..).zip([
        wall(0),
        wall(400 * DAY_MS),
        wall(-400 * DAY_MS),
        rebooted(1, 0),
        rebooted(2, 30 * DAY_MS),
        rebooted(2, 0),
        rebooted(3, -30 * DAY_MS),
        wall(0),
        wall(2 * DAY_MS),
    ]) {
        let mut fixture = Fixture::open_displaced(&path, between);
        assert_eq!(settled_ids(&fixture.found), known, "{between:?}");
        let now = fixture.now();
        for row in &fixture.found {
            let Row::Settled(settled) = row else { panic!("{row:?}") };
            assert!(now.since(settled.at) < RUN, "{between:?}: {settled:?}");
        }
        fixture.store.apply(vec![insert(seq, now), deliver(seq, now)]);
        fixture.settled(2);
        known.push(format!("m-{seq}"));
        sweep(&mut fixture);
        fixture.close();
    }
    // Suspended for longer than ids are remembered, which is sure.
    let mut fixture = Fixture::open_displaced(&path, Displacement { suspended: 25 * HOUR, ..wall(2 * DAY_MS) });
    assert!(fixture.found.is_empty());
    sweep(&mut fixture);
    fixture.close();
    assert_eq!(Reader::open(&path).unwrap().stats().unwrap().receipts.count, 0);
}

#[test]
fn a_file_that_tells_no_boot_opens_and_is_in_doubt() {
    let (_directory, path) = place();
    let mut fixture = Fixture::open(&path);
    let at = fixture.now();
    fixture.store.apply(vec![insert(1, at), deliver(1, at), insert(2, at), save("{}", [], at)]);
    fixture.settled(4);
    fixture.close();
    for damage in [
        "DELETE FROM meta WHERE name = 'clock'",
        "REPLACE INTO meta VALUES ('clock', '1 {}')",
        "UPDATE meta SET value = replace(value, '1', '2') WHERE name = 'clock'",
    ] {
        rusqlite::Connection::open(&path).unwrap().execute_batch(damage).unwrap();
        let fixture = Fixture::open_displaced(&path, wall(DAY_MS));
        assert_eq!((seqs(&fixture.found), settled_ids(&fixture.found)), (vec![2], vec!["m-1".to_owned()]), "{damage}");
        assert!(fixture.now().since(fixture.opening.budget_at.unwrap()) < RUN, "{damage}");
        fixture.close();
    }
}

#[test]
fn messages_are_marked_as_sent_by_the_wall_clock_though_it_was_set_meanwhile() {
    let (_directory, path) = place();
    // An hour ahead at first, as a machine's clock is before the network is there; then it is set.
    let mut fixture = Fixture::open_displaced(&path, wall(HOUR_MS));
    let at = fixture.now();
    fixture.store.apply(vec![insert(1, at), insert(2, at)]);
    fixture.settled(2);
    fixture.close();
    Fixture::open(&path).close();
    let wall_ms = i64::try_from(spillway_core::clock::Clock::epoch_ms_now()).unwrap();
    let mut editor = Editor::open(&path).unwrap();
    assert_eq!(editor.mark_sent(wall_ms - HOUR_MS / 2).unwrap().marked, 0);
    assert_eq!(editor.mark_sent(wall_ms + 1_000).unwrap().marked, 2);
    drop(editor);
    let fixture = Fixture::open(&path);
    assert_eq!(settled_ids(&fixture.found).len(), 2);
    assert_ne!(fixture.now(), Timestamp::START);
    fixture.close();
}

#[test]
fn what_a_damaged_file_may_have_sent_has_left_now_by_the_files_own_time() {
    // The file's time goes on from a first run whose wall clock was a day behind, or ahead.
    for behind_ms in [-DAY_MS, DAY_MS] {
        let (_directory, path) = place();
        let mut fixture = Fixture::open_displaced(&path, wall(behind_ms));
        let at = fixture.now();
        fixture.store.apply(vec![insert(1, at), insert(2, at), depart(1, at)]);
        fixture.settled(3);
        fixture.close();
        let root: i64 = rusqlite::Connection::open(&path)
            .unwrap()
            .query_row("SELECT rootpage FROM sqlite_master WHERE name = 'wire'", [], |row| row.get(0))
            .unwrap();
        let root = usize::try_from(root).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[(root - 1) * 4_096..root * 4_096].fill(0xAA);
        std::fs::write(&path, bytes).unwrap();
        let fixture = Fixture::open_on(wall(0), Options { presumed_sent: 1, ..options(&path) });
        let left: Vec<Timestamp> = fixture
            .found
            .iter()
            .filter_map(|row| match row {
                Row::Started(record) => record.first_attempt_at,
                _ => None,
            })
            .collect();
        assert!(!left.is_empty());
        for at in left {
            assert!(
                fixture.now().since(at) < RUN && at <= fixture.now(),
                "{behind_ms}: {at:?}, now {:?}",
                fixture.now()
            );
        }
        fixture.close();
    }
}
