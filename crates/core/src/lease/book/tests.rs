use std::num::NonZeroU32;

use super::*;
use crate::lease::pause::{PauseReport, Scope};

const SECOND: Duration = Duration::from_secs(1);
const LEASE: Duration = Duration::from_secs(3);
/// When a store that begins at zero hands out its first slot, of a window of a second.
const LEARNED: Micros = 8_000_250;

fn server(now: Micros) -> Server {
    Server { now, run: 1 }
}

/// A host that does as it should, and only counts.
#[derive(Clone, Debug)]
struct Double {
    host: Host,
    number: u64,
    seen: Option<(Epoch, u64, LeaseId)>,
    sent_at: Micros,
    /// When it heard the last answer, and what that said of the store's clock.
    heard_at: Micros,
    clock: Duration,
    deadline: Micros,
    share: u32,
    requests: u32,
    need: u32,
    weight: u32,
    target: u32,
}

impl Double {
    fn new(host: u64, requests: u32) -> Self {
        Self {
            host: Host(host),
            number: 1,
            seen: None,
            sent_at: 0,
            heard_at: 0,
            clock: Duration::ZERO,
            deadline: 0,
            share: 0,
            requests,
            need: requests,
            weight: 1,
            target: requests,
        }
    }

    fn renewal(&self, now: Micros, back: &[(Micros, u32)]) -> Renewal {
        let back = back.iter().map(|(rest, slots)| Rest { span: span(*rest), slots: *slots }).collect();
        Renewal {
            host: self.host,
            number: self.number,
            seen: self.seen.map(|(epoch, version, lease)| Seen {
                epoch,
                version,
                lease,
                clock: self.clock,
                since: span(now - self.heard_at),
                is_live: now < self.deadline,
            }),
            weight: self.weight,
            sent: 0,
            lasts: LEASE,
            windows: vec![WindowReport {
                per: SECOND,
                requests: NonZeroU32::new(self.requests).expect("a quota"),
                held: self.share,
                need: self.need,
                back,
            }],
            pauses: Vec::new(),
            probes: Vec::new(),
            draw: self.host.0 * 1_000_000 + now,
        }
    }

    fn hear(&mut self, grant: &Grant) {
        assert_eq!(grant.number, self.number);
        self.number += 1;
        self.seen = Some((grant.epoch, grant.version, grant.lease));
        (self.heard_at, self.clock) = (self.sent_at, grant.clock);
        self.deadline = self.sent_at + micros(grant.lasts);
        self.share = grant.windows[0].share;
        self.target = grant.windows[0].target;
    }

    fn renew(&mut self, book: &mut Book, now: Micros, back: &[(Micros, u32)]) -> (Grant, Vec<Broadcast>) {
        self.sent_at = now;
        let (grant, broadcasts) = book.renew(server(now), &self.renewal(now, back));
        self.hear(&grant);
        (grant, broadcasts)
    }

    /// Gives back what is too much.
    fn settle(&mut self, book: &mut Book, now: Micros) {
        let surplus = self.share.saturating_sub(self.target);
        let back = if surplus > 0 { vec![(0, surplus)] } else { Vec::new() };
        self.renew(book, now, &back);
    }
}

/// A store that has been there for long.
fn learned(requests: u32) -> Book {
    let mut book = Book::default();
    let mut first = Double { need: 0, ..Double::new(99, requests) };
    first.renew(&mut book, 0, &[]);
    first.renew(&mut book, LEARNED, &[]);
    book
}

fn totals(book: &Book) -> (u32, u32) {
    let holding = book.holdings()[0];
    (holding.shared, holding.pooled)
}

#[test]
fn a_new_store_hands_out_nothing_until_every_lease_is_over_that_it_may_have_forgotten() {
    let mut book = Book::default();
    let mut host = Double::new(1, 10);
    let (grant, _) = host.renew(&mut book, 0, &[]);
    assert_eq!((grant.windows[0].share, grant.forgetting), (0, Some(span(LEARNED))));
    let (grant, _) = host.renew(&mut book, LEARNED - 1, &[]);
    assert_eq!((grant.windows[0].share, grant.forgetting), (0, Some(span(1))));
    let (grant, _) = host.renew(&mut book, LEARNED, &[]);
    assert_eq!((grant.windows[0].share, grant.forgetting), (10, None));
    assert_eq!(grant.windows[0].fresh, [Rest { span: Duration::ZERO, slots: 10 }]);
}

#[test]
fn a_host_that_has_work_alone_gets_everything_by_one_renewal() {
    let mut book = learned(100);
    let (grant, _) = Double::new(1, 100).renew(&mut book, LEARNED, &[]);
    assert_eq!((grant.windows[0].share, grant.hosts), (100, 2));
}

#[test]
fn slots_move_with_their_rests() {
    let mut book = learned(10);
    let (mut one, mut other) = (Double::new(1, 10), Double::new(2, 10));
    one.renew(&mut book, LEARNED, &[]);
    let (grant, broadcasts) = other.renew(&mut book, LEARNED + 1_000, &[]);
    assert_eq!((grant.windows[0].share, grant.windows[0].target), (0, 5));
    assert_eq!(broadcasts, [Broadcast::Short(vec![Host(1)])], "the first has more than is due to it");
    one.renew(&mut book, LEARNED + 2_000, &[(0, 1), (300_000, 4)]);
    let (grant, _) = other.renew(&mut book, LEARNED + 100_000, &[]);
    let rests = [Rest { span: Duration::ZERO, slots: 1 }, Rest { span: span(202_000), slots: 4 }];
    assert_eq!(grant.windows[0].fresh, rests);
    assert_eq!((one.share, other.share), (5, 5));
}

#[test]
fn nobody_is_believed_a_rest_that_is_longer_than_a_window_or_slots_that_it_has_not() {
    let mut book = learned(10);
    let mut host = Double::new(1, 10);
    host.renew(&mut book, LEARNED, &[]);
    host.renew(&mut book, LEARNED, &[(3_600_000_000, 7_000)]);
    assert_eq!(totals(&book), (10, 0), "it asks for them again");
    let (grant, _) = host.renew(&mut book, LEARNED, &[(0, 3)]);
    assert_eq!(grant.windows[0].share, 10);
    let mut other = Double { need: 0, ..host.clone() };
    other.renew(&mut book, LEARNED, &[(3_600_000_000, 10)]);
    other.need = 10;
    let (grant, _) = other.renew(&mut book, LEARNED, &[]);
    assert_eq!(grant.windows[0].fresh, [Rest { span: span(2_000_250), slots: 10 }]);
}

#[test]
fn a_repetition_gets_the_same_answer_and_changes_nothing() {
    let mut book = learned(10);
    let mut host = Double::new(1, 10);
    host.renew(&mut book, LEARNED, &[]);
    host.need = 4;
    let renewal = host.renewal(LEARNED, &[(500_000, 6)]);
    let (grant, _) = book.renew(server(LEARNED), &renewal);
    let before = book.age();
    let (again, broadcasts) = book.renew(server(LEARNED + 400_000), &renewal);
    assert_eq!((again.windows[0].share, again.windows[0].target), (4, 4));
    assert_eq!(again.lasts, grant.lasts - span(400_000), "the lease has gone on");
    assert_eq!((book.age(), broadcasts), (before, Vec::new()));
    assert_eq!(totals(&book), (4, 6));
}

#[test]
fn the_repetition_of_the_first_renewal_opens_no_second_lease() {
    let mut book = learned(10);
    let host = Double::new(1, 10);
    let (grant, _) = book.renew(server(LEARNED), &host.renewal(LEARNED, &[]));
    let (again, _) = book.renew(server(LEARNED + 100), &host.renewal(LEARNED + 100, &[]));
    assert_eq!((again.lease, again.windows[0].share), (grant.lease, 10));
    assert_eq!(again.windows[0].fresh, grant.windows[0].fresh);
}

#[test]
fn a_renewal_that_comes_late_changes_nothing() {
    let mut book = learned(10);
    let mut host = Double::new(1, 10);
    host.renew(&mut book, LEARNED, &[]);
    let late = host.renewal(LEARNED, &[(0, 10)]);
    host.renew(&mut book, LEARNED, &[]);
    host.renew(&mut book, LEARNED, &[]);
    let before = book.clone();
    book.renew(server(LEARNED), &late);
    assert_eq!(book, before);
}

#[test]
fn a_late_renewal_of_a_host_that_was_forgotten_gives_the_host_nothing_that_it_does_not_know_of() {
    let mut book = learned(10);
    let mut host = Double::new(1, 10);
    host.renew(&mut book, LEARNED, &[]);
    let late = host.renewal(LEARNED, &[]);
    host.renew(&mut book, LEARNED, &[]);
    let gone = LEARNED + 60_000_000;
    let mut other = Double { need: 0, ..Double::new(2, 10) };
    other.renew(&mut book, LEARNED, &[]);
    other.need = 10;
    other.renew(&mut book, gone, &[]);
    book.renew(server(gone), &late);
    other.settle(&mut book, gone + 1_000);
    book.renew(server(gone + 2_000), &Double::renewal(&Double { number: 3, ..host.clone() }, gone + 2_000, &[]));
    let (grant, _) = host.renew(&mut book, gone + 3_000, &[]);
    assert_eq!(grant.windows[0].share, grant.windows[0].fresh.iter().map(|rest| rest.slots).sum::<u32>());
}

#[test]
fn a_host_that_comes_back_in_time_goes_on_with_what_it_had() {
    let mut book = learned(10);
    let (mut host, mut other) = (Double::new(1, 10), Double::new(2, 10));
    host.renew(&mut book, LEARNED, &[]);
    other.renew(&mut book, LEARNED, &[]);
    let over = LEARNED + micros(LEASE);
    let (grant, _) = other.renew(&mut book, over + 500_000, &[]);
    assert_eq!((grant.windows[0].share, grant.windows[0].target), (0, 0), "what a dead host has is nobody's");
    let (grant, _) = host.renew(&mut book, over + 1_900_000, &[]);
    assert_eq!((grant.windows[0].share, grant.windows[0].fresh.len()), (10, 0));
}

#[test]
fn what_a_dead_host_had_is_free_after_its_lease_the_lateness_and_a_window() {
    let mut book = learned(10);
    let (mut host, mut other) = (Double::new(1, 10), Double::new(2, 10));
    host.renew(&mut book, LEARNED, &[]);
    other.renew(&mut book, LEARNED, &[]);
    let free = LEARNED + micros(LEASE) + 2_000_250;
    let (grant, _) = other.renew(&mut book, free - 1, &[]);
    assert_eq!(grant.windows[0].share, 0);
    let (grant, _) = other.renew(&mut book, free, &[]);
    assert_eq!(grant.windows[0].fresh, [Rest { span: Duration::ZERO, slots: 10 }]);
    let (grant, _) = host.renew(&mut book, free + 1, &[]);
    assert_eq!(grant.windows[0].share, 0, "it has lost them");
}

#[test]
fn another_run_of_the_server_believes_those_whose_lease_is_in_force() {
    let mut book = learned(10);
    let (mut one, mut other, mut old) = (Double::new(1, 10), Double::new(2, 10), Double::new(3, 10));
    one.need = 4;
    one.renew(&mut book, LEARNED, &[]);
    other.need = 6;
    other.renew(&mut book, LEARNED, &[]);
    // An older state: neither has anything in it.
    let mut book = learned(10);
    let restarted = Server { now: LEARNED + 1_000_000, run: 2 };
    old.renew(&mut learned(10), LEARNED - 3_000_000, &[]);
    (old.share, old.seen) = (10, other.seen);
    let (grant, _) = book.renew(restarted, &old.renewal(restarted.now, &[]));
    assert_eq!(grant.windows[0].share, 0, "its lease is over");
    let (grant, _) = book.renew(restarted, &one.renewal(restarted.now, &[(0, 1)]));
    assert_eq!(grant.windows[0].share, 3, "it gives one back, which may be another's by now");
    let (grant, _) = book.renew(restarted, &other.renewal(restarted.now, &[]));
    assert_eq!(grant.windows[0].share, 6);
    assert_eq!(totals(&book), (9, 0));
    let (grant, _) = book.renew(restarted, &Double { share: 2, ..one.clone() }.renewal(restarted.now, &[]));
    assert_eq!(grant.windows[0].share, 3, "a repetition");
}

/// Scripts of different versions name the run of the server differently.
#[test]
fn hosts_whose_scripts_differ_never_hold_more_than_there_is_and_go_on_when_the_others_have_stopped() {
    let mut book = learned(10);
    let mut hosts: Vec<Double> = (1..=4).map(|host| Double::new(host, 10)).collect();
    let mut now = LEARNED;
    let held = |hosts: &[Double], now| {
        let live = hosts.iter().filter(|host| host.deadline > now);
        live.map(|host| host.share).sum::<u32>()
    };
    for step in 0..400_u64 {
        now += 50_000;
        let at = usize::try_from(step % 4).expect("small");
        // The first two are replaced by the others.
        if step < 40 && at >= 2 || step >= 200 && at < 2 {
            continue;
        }
        let run = if at < 2 { 1 } else { 2 };
        let host = &mut hosts[at];
        let surplus = host.share.saturating_sub(host.target);
        let back = [(1_000_250, surplus)];
        host.sent_at = now;
        let (grant, _) = book.renew(Server { now, run }, &host.renewal(now, if surplus > 0 { &back } else { &[] }));
        host.hear(&grant);
        assert!(held(&hosts, now) <= 10, "step {step}: {hosts:?}");
        assert!(
            !(60..200).contains(&step) || at < 2 || hosts[at].share == 0,
            "step {step}: nobody has given it anything"
        );
    }
    assert_eq!((hosts[2].share, hosts[3].share), (5, 5));
}

#[test]
fn a_state_older_than_what_a_host_knows_is_noticed_without_another_run() {
    let mut book = learned(10);
    let mut host = Double::new(1, 10);
    host.renew(&mut book, LEARNED, &[]);
    let snapshot = book.clone();
    let mut other = Double::new(2, 10);
    other.renew(&mut book, LEARNED, &[]);
    host.renew(&mut book, LEARNED, &[(0, 5)]);
    let mut book = snapshot;
    let epoch = book.age().map(|(epoch, _)| epoch);
    let (grant, _) = host.renew(&mut book, LEARNED + 1, &[]);
    assert_eq!((grant.windows[0].share, grant.forgetting.is_some()), (5, true));
    assert_ne!(Some(grant.epoch), epoch);
}

#[test]
fn a_clock_that_is_put_forward_frees_nothing() {
    let mut book = learned(10);
    let (mut one, mut other) = (Double::new(1, 10), Double { need: 0, ..Double::new(2, 10) });
    one.renew(&mut book, LEARNED, &[]);
    other.renew(&mut book, LEARNED, &[]);
    one.need = 0;
    one.renew(&mut book, LEARNED + 1_000, &[(900_000, 5)]);
    // The host counts 10 ms, the store an hour.
    other.need = 10;
    other.sent_at = LEARNED + 11_000;
    let late = other.renewal(other.sent_at, &[]);
    let (grant, _) = book.renew(server(LEARNED + 3_600_000_000), &late);
    assert_eq!(grant.windows[0].fresh, [Rest { span: span(890_000), slots: 5 }], "rests go on");
    assert_eq!(grant.windows[0].share, 5, "and so do leases");
}

#[test]
fn a_clock_that_is_put_forward_by_less_than_a_renewal_may_travel_frees_nothing() {
    for by in [1_000, 400_000, 1_100_000, 1_900_000] {
        let mut book = learned(10);
        let (mut one, mut other) = (Double::new(1, 10), Double { need: 0, ..Double::new(2, 10) });
        one.renew(&mut book, LEARNED, &[]);
        other.renew(&mut book, LEARNED, &[]);
        one.need = 0;
        one.renew(&mut book, LEARNED + 1_000, &[(900_000, 5)]);
        other.need = 10;
        let late = other.renewal(LEARNED + 11_000, &[]);
        let (grant, _) = book.renew(server(LEARNED + 11_000 + by), &late);
        assert_eq!(grant.windows[0].fresh, [Rest { span: span(890_000), slots: 5 }], "by {by}");
    }
}

#[test]
fn of_a_time_in_which_nobody_was_there_a_newcomer_is_told_nothing() {
    let mut book = learned(10);
    let mut one = Double::new(1, 10);
    one.renew(&mut book, LEARNED, &[]);
    one.need = 0;
    one.renew(&mut book, LEARNED, &[(0, 3), (900_000, 7)]);
    // Ten minutes by the store's clock, or no time at all.
    let later = LEARNED + 600_000_000;
    let mut other = Double::new(2, 10);
    let (grant, _) = other.renew(&mut book, later, &[]);
    let rests = [Rest { span: Duration::ZERO, slots: 3 }, Rest { span: span(900_000), slots: 7 }];
    assert_eq!(grant.windows[0].fresh, rests);
    // Who was there before knows better.
    let mut book = learned(10);
    let mut one = Double { need: 0, ..Double::new(1, 10) };
    one.renew(&mut book, LEARNED, &[]);
    let mut other = Double::new(2, 10);
    other.renew(&mut book, LEARNED, &[]);
    other.need = 0;
    other.renew(&mut book, LEARNED, &[(900_000, 10)]);
    one.need = 10;
    let (grant, _) = one.renew(&mut book, later, &[]);
    assert_eq!(grant.windows[0].fresh, [Rest { span: Duration::ZERO, slots: 10 }]);
}

#[test]
fn a_clock_that_is_put_back_and_then_forward_frees_nothing() {
    let mut book = learned(10);
    let (mut one, mut other) = (Double::new(1, 10), Double { need: 0, ..Double::new(2, 10) });
    one.renew(&mut book, LEARNED, &[]);
    other.renew(&mut book, LEARNED, &[]);
    one.need = 0;
    // Half a second less than it is.
    let at = LEARNED + 1_000_000;
    one.sent_at = at;
    let (grant, _) = book.renew(server(at - 500_000), &one.renewal(at, &[(900_000, 5)]));
    one.hear(&grant);
    other.need = 10;
    let (grant, _) = other.renew(&mut book, at + 1_000, &[]);
    let [Rest { span, slots: 5 }] = grant.windows[0].fresh[..] else { panic!("{grant:?}") };
    assert!(span >= Duration::from_micros(899_000), "{span:?}");
}

#[test]
fn a_clock_that_is_put_back_holds_nothing_for_longer_than_a_lease_and_a_window() {
    let mut book = learned(10);
    let hour = 3_600_000_000;
    let mut one = Double::new(1, 10);
    one.renew(&mut book, LEARNED + hour, &[]);
    let mut other = Double::new(2, 10);
    other.renew(&mut book, LEARNED, &[]);
    let (grant, _) = other.renew(&mut book, LEARNED + micros(LEASE_MAX) + 2_000_250, &[]);
    assert_eq!(grant.windows[0].share, 10);
}

#[test]
fn the_lowest_quota_counts() {
    let mut book = learned(10);
    let mut one = Double::new(1, 10);
    one.renew(&mut book, LEARNED, &[]);
    let mut other = Double::new(2, 6);
    let (grant, _) = other.renew(&mut book, LEARNED, &[]);
    assert_eq!((grant.windows[0].requests, grant.differs), (6, true));
    for step in 1..5 {
        one.settle(&mut book, LEARNED + step * 10_000);
        other.settle(&mut book, LEARNED + step * 10_000 + 1);
    }
    assert_eq!((one.share, other.share, totals(&book)), (3, 3, (6, 0)));
}

#[test]
fn the_lowest_quota_counts_when_the_host_with_the_highest_is_gone_though_nobody_asks_for_that_window() {
    let mut book = learned(10);
    let (mut high, mut low, mut other) = (Double::new(1, 10), Double::new(2, 3), Double::new(3, 10));
    let minutely = |host: &mut Double, book: &mut Book, now| {
        host.sent_at = now;
        let mut renewal = host.renewal(now, &[]);
        renewal.windows[0].per = Duration::from_secs(60);
        let (grant, _) = book.renew(server(now), &renewal);
        host.hear(&grant);
    };
    high.renew(&mut book, LEARNED, &[]);
    low.renew(&mut book, LEARNED, &[]);
    minutely(&mut other, &mut book, LEARNED);
    low.renew(&mut book, LEARNED + 2_000_000, &[]);
    low.renew(&mut book, LEARNED + 4_000_000, &[]);
    minutely(&mut other, &mut book, LEARNED + micros(LEASE) + 2_000_250);
    assert_eq!(totals(&book), (0, 3));
}

#[test]
fn of_the_fleet_one_host_probes_a_pause() {
    let mut book = learned(10);
    let (one, other) = (Double::new(1, 10), Double::new(2, 10));
    let mut tell = |host: &Double, number, now, pauses: &[PauseReport], probes: &[Scope]| {
        let renewal = Renewal { number, pauses: pauses.to_vec(), probes: probes.to_vec(), ..host.renewal(now, &[]) };
        book.renew(server(now), &renewal)
    };
    let scope = Scope::Organization;
    let refused = PauseReport::Paused(scope.clone(), SECOND);
    let (grant, broadcasts) = tell(&one, 1, LEARNED, std::slice::from_ref(&refused), &[]);
    let [Broadcast::Paused(pause)] = &broadcasts[..] else { panic!("{broadcasts:?}") };
    assert_eq!((&grant.pauses[..], pause.lasts), (&[pause.clone()][..], SECOND));
    let (_, broadcasts) = tell(&other, 1, LEARNED, &[refused], &[]);
    assert!(!broadcasts.iter().any(|one| matches!(one, Broadcast::Paused(_))), "everybody knows");
    let ask = std::slice::from_ref(&scope);
    let (grant, _) = tell(&other, 2, LEARNED + 999_999, &[], ask);
    assert_eq!(grant.pauses[0].prober, None, "it is not over");
    let (grant, _) = tell(&other, 3, LEARNED + 1_000_000, &[], ask);
    assert_eq!(grant.pauses[0].prober.map(|(host, _)| host), Some(Host(2)));
    let (grant, _) = tell(&one, 2, LEARNED + 1_000_001, &[], ask);
    assert_eq!(grant.pauses[0].prober.map(|(host, _)| host), Some(Host(2)));
    let (_, broadcasts) = tell(&one, 3, LEARNED + 1_000_002, &[PauseReport::Resumed(scope.clone(), 0)], &[]);
    assert!(!broadcasts.iter().any(|one| matches!(one, Broadcast::Resumed(..))), "it is a later pause");
    let resumed = PauseReport::Resumed(scope.clone(), grant.pauses[0].number);
    let (grant, broadcasts) = tell(&other, 4, LEARNED + 1_000_003, &[resumed], &[]);
    assert!(grant.pauses.is_empty() && broadcasts.contains(&Broadcast::Resumed(scope, 1)));
}

/// Hosts that come, go, die and fall silent, answers that are lost, renewals that come late or twice, and stores that
/// forget: whatever happens, no slot is there twice.
#[test]
fn no_slot_is_there_twice() {
    for seed in 0..400_u64 {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut draw = |most: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % (most + 1)
        };
        let requests = 1 + u32::try_from(draw(30)).expect("small");
        let mut book = Book::default();
        let mut run = 1;
        let mut now = 1_000_000;
        let mut hosts: Vec<Double> = (1..=1 + draw(6)).map(|host| Double::new(host, requests)).collect();
        let mut late: Vec<Renewal> = Vec::new();
        let mut snapshots = vec![book.clone()];
        let (mut epoch, mut version) = (None, 0);
        for _ in 0..300 {
            now += draw(700_000);
            let at = usize::try_from(draw(hosts.len() as u64 - 1)).expect("small");
            match draw(40) {
                0 => hosts[at] = Double::new(1_000 + now, requests),
                1 => snapshots.push(book.clone()),
                2 => {
                    run += 1;
                    book = snapshots[usize::try_from(draw(snapshots.len() as u64 - 1)).expect("small")].clone();
                }
                3 => now += draw(60_000_000),
                4 => {
                    if let Some(renewal) = late.pop() {
                        book.renew(Server { now, run }, &renewal);
                    }
                }
                _ => {
                    let host = &mut hosts[at];
                    host.need = u32::try_from(draw(u64::from(requests))).expect("small");
                    host.weight = 1 + u32::try_from(draw(5)).expect("small");
                    let surplus = u64::from(host.share.saturating_sub(host.target));
                    let back = [(draw(1_000_000), u32::try_from(draw(surplus)).expect("small"))];
                    host.sent_at = now;
                    let renewal = host.renewal(now, &back);
                    let (grant, _) = book.renew(Server { now: now + draw(1_000), run }, &renewal);
                    if draw(4) == 0 {
                        late.push(renewal.clone());
                        let (again, _) = book.renew(Server { now: now + 1_000 + draw(500_000), run }, &renewal);
                        assert_eq!(again.windows[0].share, grant.windows[0].share, "seed {seed}");
                    }
                    host.hear(&grant);
                    assert!(epoch != Some(grant.epoch) || grant.version > version, "seed {seed}");
                    (epoch, version) = (Some(grant.epoch), grant.version);
                }
            }
            for holding in book.holdings() {
                let total = holding.shared + holding.pooled;
                assert!(total <= requests, "seed {seed}: {holding:?}");
            }
        }
    }
}

#[test]
fn no_answer_tells_of_a_longer_lease_than_there_is() {
    let mut book = learned(10);
    let (mut one, mut other) = (Double::new(1, 10), Double::new(2, 10));
    one.renew(&mut book, LEARNED, &[]);
    other.renew(&mut book, LEARNED, &[]);
    // Put forward, but by no more than a renewal that is late may make of it: its lease is noted by that.
    let unheard = Renewal { lasts: LEASE_MAX, ..other.renewal(LEARNED, &[]) };
    book.renew(server(LEARNED + 1_900_000), &unheard);
    // And once more: now it shows.
    book.renew(server(LEARNED + 2_100_000), &one.renewal(LEARNED, &[]));
    let (again, _) = book.renew(server(LEARNED + 2_100_000), &unheard);
    assert_eq!(again.lasts, LEASE_MAX);
}
