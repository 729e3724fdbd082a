//! Ordinary weather, by seed: reads that fail for a moment at openings, while messages flow and while they are loaded,
//! wall clocks that are set by minutes to years, machines that are suspended and restarted, and power that goes at the
//! end of a run.
//!
//! None of it is damage: what was told to be durable is there, as it was, and nothing is set aside; no clock gives
//! spent budget back or forgets an id. A failing seed is printed, and is run again by
//! `SPILLWAY_SEED=<seed> cargo test -p spillway-core --test store weather`.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use spillway_core::clock::Displacement;
use spillway_core::lanes::EntryId;
use spillway_core::store::file::Options;
use spillway_core::store::{Change, StoreEvent};
use spillway_powercut::{Disk, Failure, ReadFailure, VFS, install, read_at};

use crate::draw::Draw;
use crate::fixture::*;
use crate::model::Model;
use crate::seeds::every_seed;

const HISTORIES: u64 = 120;
/// Lives of a store in one history.
const RUNS: u64 = 4;
/// Far more than all lives of a history take.
const HISTORY: Duration = Duration::from_secs(600);
const MINUTE_MS: u64 = 60_000;
const YEARS_MS: u64 = 3 * 365 * 24 * 60 * MINUTE_MS;
/// All suspends of a history are shorter than ids are remembered.
const SUSPEND_MAX_S: u64 = 3_600;

/// How much of it there was.
#[derive(Default)]
struct Weather {
    failed_reads: AtomicU64,
    troubles: AtomicU64,
    refused: AtomicU64,
    cuts: AtomicU64,
}

#[test]
fn nothing_is_lost_in_ordinary_weather() {
    install();
    let (weather, histories) = (Weather::default(), AtomicU64::new(0));
    every_seed("weather", HISTORIES, |seed| {
        history(seed, &weather);
        histories.fetch_add(1, Ordering::Relaxed);
    });
    let Weather { failed_reads, troubles, refused, cuts } = weather;
    let had = [failed_reads, troubles, refused, cuts].map(AtomicU64::into_inner);
    assert!(
        histories.into_inner() < HISTORIES || had.into_iter().all(|count| count > HISTORIES / 10),
        "too tame: {had:?}"
    );
}

/// A machine, and what it has suspended since a budget was saved.
#[derive(Default)]
struct Machine {
    clocks: Displacement,
    suspended: Duration,
}

impl Machine {
    /// What may become of its clocks between two runs.
    fn change(&mut self, draw: &mut Draw) {
        if draw.percent(40) {
            let by_ms = i64::try_from(draw.scale(MINUTE_MS, YEARS_MS)).unwrap();
            self.clocks.wall_ms = *draw.pick(&[by_ms, -by_ms, 0]);
        }
        if draw.percent(25) {
            let span = Duration::from_secs(draw.scale(1, SUSPEND_MAX_S));
            self.clocks.suspended += span;
            self.suspended += span;
        }
        self.clocks.boots += u32::from(draw.percent(25));
    }
}

/// Some of the next reads fail, or none does.
fn cloud(disk: &Disk, draw: &mut Draw) {
    let from = disk.reads() + 1 + draw.below(*draw.clone().pick(&[1, 10, 60]));
    let count = *draw.pick(&[0, 1, 1, 6]);
    disk.fail_reads(from..from + count, *draw.pick(&ReadFailure::ALL));
}

fn history(seed: u64, weather: &Weather) {
    let mut draw = Draw::stream(seed, 0);
    let (directory, path) = place();
    let disk = Disk::of(directory.path());
    let options = Options {
        vfs: Some(VFS.into()),
        read_at,
        patience: PATIENCE,
        checkpoint_bytes: *draw.pick(&[4_096, 32_768, 1 << 20]),
        ..options(&path)
    };
    let (mut model, mut next_seq, mut machine) = (Model::default(), 0, Machine::default());
    for run in 0..RUNS {
        machine.change(&mut draw);
        cloud(&disk, &mut draw);
        let mut fixture = Fixture::open_on(machine.clocks, options.clone());
        assert!(fixture.opening.salvage.set_aside.is_none(), "run {run}: reads that fail are no damage");
        assert_eq!(Model::found(&fixture.found, &fixture.opening), model, "run {run}");
        for at in fixture.opening.budget_at.iter().chain(&fixture.opening.departed) {
            let aged = fixture.now().since(*at);
            assert!(aged < machine.suspended + HISTORY, "run {run}: the budget has aged by {aged:?}");
        }
        next_seq = next_seq.max(fixture.opening.last_seq);
        for _ in 0..draw.range(2, 10) {
            weather.failed_reads.fetch_add(disk.failed_reads(), Ordering::Relaxed);
            cloud(&disk, &mut draw);
            turn(&mut fixture, &mut draw, &mut model, &mut next_seq, &mut machine);
        }
        fixture.until(|fixture| fixture.restored == fixture.degraded.len());
        assert!(fixture.set_aside.is_empty() && (fixture.unreadable, fixture.unreadable_pages) == (0, 0), "run {run}");
        weather.troubles.fetch_add(fixture.degraded.len() as u64, Ordering::Relaxed);
        weather.refused.fetch_add(fixture.refused.len() as u64, Ordering::Relaxed);
        weather.failed_reads.fetch_add(disk.failed_reads(), Ordering::Relaxed);
        let is_cut = draw.percent(40);
        if is_cut {
            disk.fail_at(disk.operations() + 1, Failure::Cut);
        }
        fixture.close();
        if is_cut {
            weather.cuts.fetch_add(1, Ordering::Relaxed);
            disk.lose_power(&mut || draw.next());
        }
    }
    disk.forget();
}

/// Changes that go together, or messages that are asked for.
fn turn(fixture: &mut Fixture, draw: &mut Draw, model: &mut Model, next_seq: &mut u64, machine: &mut Machine) {
    if draw.percent(30) {
        return load(fixture, model);
    }
    let (at, mut changes, mut new) = (fixture.now(), Vec::new(), Vec::new());
    let before = fixture.up_to;
    for _ in 0..draw.range(1, 12) {
        let change = model.draw_change(draw, next_seq, at);
        match &change {
            // It may be refused: nothing else is about it before that is known.
            Change::Insert { .. } => new.push(change.clone()),
            known => model.apply(known),
        }
        if matches!(change, Change::Save { .. }) {
            machine.suspended = Duration::ZERO;
        }
        changes.push(change);
    }
    let all = before + changes.len() as u64;
    fixture.store.apply(changes);
    fixture.settled(all);
    let refused: BTreeSet<EntryId> = fixture.refused.iter().map(|(entry_id, _)| *entry_id).collect();
    for change in &new {
        if matches!(change, Change::Insert { entry_id, .. } if !refused.contains(entry_id)) {
            model.apply(change);
        }
    }
}

fn load(fixture: &mut Fixture, model: &Model) {
    let asked: Vec<u64> = model.messages.keys().copied().collect();
    fixture.store.load(asked.iter().map(|seq| (0, *seq)).collect());
    loop {
        match fixture.news.recv_timeout(PATIENCE).unwrap() {
            StoreEvent::Loaded(loaded) => {
                for (_, seq, record) in loaded {
                    let record = record.unwrap_or_else(|_| panic!("{seq} can't be loaded"));
                    assert_eq!(record.message.id(), model.messages[&seq].0);
                }
                return;
            }
            other => fixture.take_in(other),
        }
    }
}
