//! The power goes at a moment that a seed decides; what was not synced is kept, lost or torn. Whatever was told to be
//! durable is there afterwards, and nothing is there by halves: the file is as after some number of changes, whole
//! ones.
//!
//! That the disk is cruel enough is shown by the other durability: it promises nothing for a power cut, and loses.

use std::sync::atomic::{AtomicU64, Ordering};

use spillway_core::store::Change;
use spillway_core::store::file::{Durability, Options};
use spillway_powercut::{Disk, Failure, VFS, install};

use crate::draw::Draw;
use crate::fixture::*;
use crate::model::Model;
use crate::seeds::every_seed;

const HISTORIES: u64 = 1_000;
const UNSAFE_HISTORIES: u64 = 100;
/// Lives of a store in one history.
const RUNS: u64 = 3;

#[test]
fn no_acknowledged_change_is_lost_when_the_power_goes() {
    install();
    every_seed("power cuts", HISTORIES, |seed| assert_eq!(history(seed, Durability::PowerLoss), 0, "lost"));
}

#[test]
fn with_durability_process_crash_the_last_changes_are_lost_and_the_rest_is_whole() {
    install();
    let (histories, losses) = (AtomicU64::new(0), AtomicU64::new(0));
    every_seed("power cuts", UNSAFE_HISTORIES, |seed| {
        losses.fetch_add(history(seed, Durability::ProcessCrash), Ordering::Relaxed);
        histories.fetch_add(1, Ordering::Relaxed);
    });
    let (histories, losses) = (histories.into_inner(), losses.into_inner());
    assert!(histories < UNSAFE_HISTORIES || losses > histories / 4, "{losses} losses in {histories} histories");
}

/// What one life of a store has written: the state after each change, and which of them was told last to be durable.
struct Life {
    states: Vec<Model>,
    durable: usize,
}

/// In how many lives something was lost that was told to be durable. The file opens after each, and is as after some
/// change.
fn history(seed: u64, durability: Durability) -> u64 {
    let mut draw = Draw::stream(seed, 0);
    let (directory, path) = place();
    let disk = Disk::of(directory.path());
    let options = Options {
        vfs: Some(VFS.into()),
        durability,
        patience: std::time::Duration::ZERO,
        checkpoint_bytes: *draw.pick(&[4_096, 32_768, 1 << 20]),
        ..options(&path)
    };
    let (mut model, mut next_seq, mut losses) = (Model::default(), 0, 0);
    for run in 0..RUNS {
        disk.fail_at(disk.operations() + 1 + draw.below(*draw.clone().pick(&[30, 120, 400])), Failure::Cut);
        // The power may go before the store is open.
        let life = Fixture::try_open(options.clone())
            .ok()
            .map(|fixture| live(fixture, &mut draw, &mut next_seq, &model, &disk));
        disk.lose_power(&mut || draw.next());
        let fixture = Fixture::try_open(options.clone()).unwrap_or_else(|error| panic!("run {run}: {error}"));
        assert!(fixture.opening.salvage.set_aside.is_none(), "run {run}: a power cut is no damage");
        let found = Model::found(&fixture.found, &fixture.opening);
        let Life { states, durable } = life.unwrap_or_else(|| Life { states: vec![model.clone()], durable: 0 });
        let after = states.iter().rposition(|state| *state == found);
        let after = after.unwrap_or_else(|| panic!("run {run}: {found:#?}\nis none of {states:#?}"));
        losses += u64::from(after < durable);
        let newest = found.messages.last_key_value().map_or(0, |(seq, _)| *seq);
        assert!(fixture.opening.last_seq >= newest);
        next_seq = next_seq.max(fixture.opening.last_seq);
        bodies_are_whole(fixture, &found);
        model = found;
    }
    disk.forget();
    losses
}

/// Changes a store until the power goes.
fn live(mut fixture: Fixture, draw: &mut Draw, next_seq: &mut u64, before: &Model, disk: &Disk) -> Life {
    assert_eq!(*before, Model::found(&fixture.found, &fixture.opening));
    let at = fixture.now();
    let mut states = vec![before.clone()];
    while !disk.has_failed() && states.len() < 1_500 {
        let mut changes: Vec<Change> = Vec::new();
        let mut state = states.last().unwrap().clone();
        for _ in 0..=draw.below(12) {
            let change = state.draw_change(draw, next_seq, at);
            state.apply(&change);
            states.push(state.clone());
            changes.push(change);
        }
        fixture.store.apply(changes);
        if draw.below(3) == 0 {
            let all = states.len() as u64 - 1;
            fixture.until(|fixture| fixture.up_to >= all || !fixture.degraded.is_empty());
        }
    }
    fixture.store.close();
    let mut up_to = fixture.up_to;
    for news in fixture.news.iter() {
        match news {
            // What is told after the trouble counts inserts that are refused; the process would be gone.
            spillway_core::store::StoreEvent::Committed { up_to: told, .. } if fixture.degraded.is_empty() => {
                up_to = told
            }
            spillway_core::store::StoreEvent::Degraded(error) => fixture.degraded.push(error),
            spillway_core::store::StoreEvent::Closed => break,
            _ => {}
        }
    }
    Life { states, durable: usize::try_from(up_to).unwrap() }
}

fn bodies_are_whole(mut fixture: Fixture, found: &Model) {
    let seqs: Vec<u64> = found.messages.keys().copied().collect();
    assert!(fixture.load(&seqs).iter().all(Option::is_some));
    fixture.close();
}
