//! A host's part in a fleet: what it has heard of the store, what it is about to say, and when.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::witness::Witness;
use crate::budget::Holding;
use crate::clock::Timestamp;
use crate::lease::{
    CADENCE_MAX, CADENCE_MIN, CADENCES_PER_LEASE, Epoch, Failure, Grant, Host, LEASE_MAX, LeaseId, Pause, PauseReport,
    Renewal, Scope, Seen, WindowReport,
};
use crate::random::Random;
use crate::retry::Backoff;

/// Without anything to send for so long, a host gives back what it holds.
const IDLE: Duration = Duration::from_millis(500);
/// A host that is held back though nobody lacks slots asks for more no sooner than this after it last did.
const EARLY: Duration = Duration::from_millis(250);
/// What the store pushes makes a host renew its lease no sooner than this after it last did.
const URGED: Duration = Duration::from_millis(100);
/// Between attempts while the store has no answer.
const BACKOFF: Backoff =
    Backoff::new(Duration::from_millis(50), Duration::from_millis(100), Duration::from_millis(1_000));
/// A host with fewer slots than this renews its lease often while hosts lack any.
const FEW_SLOTS: u32 = 8;
/// Pauses that are reported together: as many as the store keeps. The organization's always is.
const REPORTS_MAX: usize = 256;
/// Of a pause whose number is not known yet.
const NEWEST: u64 = (1 << 53) - 1;

/// The renewal that has no answer yet.
#[derive(Debug)]
enum Call {
    /// There is none.
    Idle,
    /// It is under way.
    UnderWay(Box<Renewal>),
    /// It has failed, and is sent again at this time.
    Failed(Box<Renewal>, Timestamp),
}

/// The last answer.
#[derive(Clone, Copy, Debug)]
struct Heard {
    epoch: Epoch,
    version: u64,
    lease: LeaseId,
    witness: Witness,
}

/// A pause of the fleet.
#[derive(Clone, Copy, Debug)]
struct Known {
    number: u64,
    prober: Option<(Host, Timestamp)>,
    /// This host, which is the prober, has sent a probe.
    has_probed: bool,
}

/// What holds of a host when it may have to renew its lease.
#[derive(Clone, Copy, Debug)]
pub(super) struct Condition {
    /// Something waits that could be sent.
    pub(super) has_demand: bool,
    /// Something is under way.
    pub(super) is_busy: bool,
    /// The lease is in force.
    pub(super) is_live: bool,
    /// Requests that have ever left.
    pub(super) requests: u64,
    pub(super) holding: Holding,
}

/// Whether a host may probe a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// The fleet has no such pause, or this host is to probe it.
    Held,
    /// Not before this time, or the next answer.
    Wanted(Option<Timestamp>),
}

#[derive(Debug)]
pub(super) struct Membership {
    host: Host,
    /// Of the next renewal, or of the one that has no answer.
    number: u64,
    heard: Option<Heard>,
    call: Call,
    /// When a renewal was last sent.
    sent_at: Option<Timestamp>,
    failures: u32,
    /// Why the last one has no answer.
    problem: Option<Failure>,
    /// Since when that is so.
    failing_since: Option<Timestamp>,
    is_outage_told: bool,
    renew_at: Option<Timestamp>,
    idle_since: Option<Timestamp>,
    /// Since the last renewal something had to wait for a slot.
    is_held_back: bool,
    /// The store wants what is too much.
    is_urged: bool,
    /// The store has something again.
    is_invited: bool,
    others_lack: bool,
    /// The last renewal has asked for slots.
    has_asked: bool,
    /// Its answer has left the host with less than it could use.
    is_unserved: bool,
    forgetting_until: Option<Timestamp>,
    hosts: u32,
    differs: bool,
    pauses: BTreeMap<Scope, Known>,
    reports: Vec<PauseReport>,
    probes: BTreeSet<Scope>,
    renewals: u64,
    /// Requests that had left when the last renewal was made.
    requests_told: u64,
    /// How many had when it got a slot for a turn.
    turn_from: Option<u64>,
}

impl Membership {
    pub(super) fn new(random: &mut Random) -> Self {
        Self {
            host: Host(random.draw()),
            number: 1,
            heard: None,
            call: Call::Idle,
            sent_at: None,
            failures: 0,
            problem: None,
            failing_since: None,
            is_outage_told: false,
            renew_at: None,
            idle_since: None,
            is_held_back: false,
            is_urged: false,
            is_invited: false,
            others_lack: false,
            has_asked: false,
            is_unserved: false,
            forgetting_until: None,
            hosts: 0,
            differs: false,
            pauses: BTreeMap::new(),
            reports: Vec::new(),
            probes: BTreeSet::new(),
            renewals: 0,
            requests_told: 0,
            turn_from: None,
        }
    }

    /// Something had to wait for a slot.
    pub(super) fn note_held_back(&mut self) {
        self.is_held_back = true;
    }

    pub(super) fn is_held_back(&self) -> bool {
        self.is_held_back
    }

    pub(super) fn others_lack(&self) -> bool {
        self.others_lack || self.is_urged
    }

    /// Notes whether anything is there to be sent. Whether nothing has been for a while.
    pub(super) fn note_activity(&mut self, now: Timestamp, is_active: bool) -> bool {
        if is_active {
            self.idle_since = None;
            return false;
        }
        now.since(*self.idle_since.get_or_insert(now)) >= IDLE
    }

    /// When the next renewal is to be sent; `None` while one is under way, or if nothing calls for one.
    pub(super) fn due_at(&self, now: Timestamp, condition: Condition) -> Option<Timestamp> {
        let is_active = condition.has_demand || condition.is_busy;
        match &self.call {
            Call::UnderWay(_) => return None,
            Call::Failed(_, again_at) => {
                // Who has told of an outage tells of its end, too, also if nothing waits by then.
                let is_wanted = is_active
                    || !self.reports.is_empty()
                    || self.is_outage_told
                    || (condition.is_live && condition.holding.has_slots);
                return is_wanted.then_some(*again_at);
            }
            Call::Idle => {}
        }
        let spaced = |gap: Duration| self.sent_at.map_or(now, |sent_at| sent_at.after(gap));
        let holds_on = is_active && (condition.holding.has_slots || condition.has_demand);
        let asks = condition.has_demand && (condition.holding.lacks_slots || !condition.is_live);
        let could_ask = condition.has_demand && self.is_held_back && condition.holding.could_have_more;
        let gives = condition.is_live && condition.holding.has_surplus && self.others_lack;
        let renew_at = self.renew_at.unwrap_or(now);
        let ends_turn = self.others_lack && self.has_used_turn(condition);
        [
            (!self.reports.is_empty() || !self.probes.is_empty()).then_some(now),
            holds_on.then_some(renew_at),
            (asks && !self.is_unserved).then_some(now),
            (could_ask && !self.is_unserved && !self.others_lack).then(|| spaced(EARLY)),
            gives.then_some(now),
            ends_turn.then(|| spaced(URGED)),
            (self.is_urged && condition.holding.has_slots).then(|| spaced(URGED)),
            (self.is_invited && condition.has_demand && self.is_unserved).then_some(now),
            self.idle_since.filter(|_| condition.holding.has_slots && !is_active).map(|since| since.after(IDLE)),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Whether it has used every slot once since it has one for a turn, as the store will find, too.
    fn has_used_turn(&self, condition: Condition) -> bool {
        let share = u64::from(condition.holding.share);
        let is_used = |from: u64| share > 0 && condition.requests.saturating_sub(from) >= share;
        condition.holding.can_give && self.turn_from.is_some_and(is_used)
    }

    /// The same; if so, the turn is over.
    pub(super) fn end_turn(&mut self, condition: Condition) -> bool {
        let is_over = self.has_used_turn(condition);
        if is_over {
            self.turn_from = None;
        }
        is_over
    }

    /// The renewal to be sent now: one that has failed, as it was, or another one.
    pub(super) fn send(
        &mut self,
        now: Timestamp,
        is_live: bool,
        cadence: Duration,
        (draw, requests): (u64, u64),
        make: impl FnOnce() -> (u32, Vec<WindowReport>),
    ) -> Box<Renewal> {
        let seen = self.heard.map(|Heard { epoch, version, lease, witness }| {
            let (clock, since) = witness.tell(now);
            Seen { epoch, version, lease, clock, since, is_live }
        });
        let renewal = match std::mem::replace(&mut self.call, Call::Idle) {
            Call::Failed(renewal, _) => Box::new(Renewal { seen, draw, ..*renewal }),
            Call::UnderWay(_) => unreachable!("one is under way at a time"),
            Call::Idle => {
                let (weight, windows) = make();
                self.has_asked = windows.iter().any(|window| window.need > 0);
                let sent = requests.saturating_sub(self.requests_told);
                self.requests_told = requests;
                self.is_held_back = false;
                self.is_urged = false;
                self.is_invited = false;
                Box::new(Renewal {
                    host: self.host,
                    number: self.number,
                    seen,
                    weight,
                    sent: u32::try_from(sent).unwrap_or(u32::MAX),
                    lasts: (cadence * CADENCES_PER_LEASE).min(LEASE_MAX),
                    windows,
                    pauses: std::mem::take(&mut self.reports),
                    probes: std::mem::take(&mut self.probes).into_iter().collect(),
                    draw,
                })
            }
        };
        self.call = Call::UnderWay(renewal.clone());
        self.sent_at = Some(now);
        self.renewals += 1;
        renewal
    }

    /// Whether a renewal is under way. `None` while the store can't be reached.
    pub(super) fn is_calling(&self) -> Option<bool> {
        match self.call {
            Call::Idle => Some(false),
            Call::UnderWay(_) => Some(true),
            Call::Failed(..) => None,
        }
    }

    /// When the renewal was sent that this answers; `None` if it is another one's.
    pub(super) fn answers(&self, grant: &Grant) -> Option<Timestamp> {
        match &self.call {
            Call::UnderWay(renewal) if renewal.number == grant.number => self.sent_at,
            Call::Idle | Call::UnderWay(_) | Call::Failed(..) => None,
        }
    }

    /// Takes an answer in. The pauses that are over, by its word.
    pub(super) fn heard(&mut self, now: Timestamp, grant: &Grant) -> Vec<Scope> {
        let known = self.heard.filter(|heard| heard.epoch == grant.epoch).map(|heard| heard.witness);
        let witness = Witness::heard(known, now, grant.clock);
        self.heard = Some(Heard { epoch: grant.epoch, version: grant.version, lease: grant.lease, witness });
        self.call = Call::Idle;
        self.number += 1;
        self.failures = 0;
        self.problem = None;
        self.failing_since = None;
        self.others_lack = grant.is_short;
        self.forgetting_until = grant.forgetting.map(|span| now.after(span));
        (self.hosts, self.differs) = (grant.hosts, grant.differs);
        let is_over = |scope: &Scope| !grant.pauses.iter().any(|pause| pause.scope == *scope);
        let over: Vec<Scope> = self.pauses.keys().filter(|scope| is_over(scope)).cloned().collect();
        self.pauses.retain(|scope, _| !over.contains(scope));
        over
    }

    /// When the lease is to be renewed next.
    pub(super) fn plan(&mut self, sent_at: Timestamp, lasts: Duration, cadence: Duration, holding: Holding) {
        self.turn_from = holding.has_turn.then(|| self.turn_from.unwrap_or(self.requests_told));
        let is_short = self.has_asked && (holding.is_short || holding.lacks_slots);
        self.is_unserved = is_short || self.forgetting_until.is_some();
        // Where hosts compete for few slots, what they have soon changes.
        let is_contended = (self.is_unserved || self.others_lack) && holding.share < FEW_SLOTS;
        let cadence = if is_contended { CADENCE_MIN } else { cadence.min(lasts / CADENCES_PER_LEASE) };
        let wait = cadence.clamp(CADENCE_MIN, CADENCE_MAX);
        let at = sent_at.after(wait);
        self.renew_at = Some(self.forgetting_until.map_or(at, |until| at.min(until)));
    }

    /// The renewal under way has no answer.
    pub(super) fn failed(&mut self, now: Timestamp, failure: Failure, random: &mut Random) {
        let Call::UnderWay(renewal) = std::mem::replace(&mut self.call, Call::Idle) else { return };
        self.failures = self.failures.saturating_add(1);
        self.call = Call::Failed(renewal, now.after(BACKOFF.wait(self.failures, random)));
        self.problem = Some(failure);
        self.failing_since.get_or_insert(now);
    }

    /// Notes a pause. Whether it is news.
    pub(super) fn note_pause(&mut self, now: Timestamp, pause: &Pause) -> bool {
        let prober = pause.prober.map(|(host, lasts)| (host, now.after(lasts)));
        let known = self.pauses.get(&pause.scope).copied();
        let has_probed =
            prober.is_some_and(|(host, _)| host == self.host) && known.is_some_and(|known| known.has_probed);
        self.pauses.insert(pause.scope.clone(), Known { number: pause.number, prober, has_probed });
        known.is_none_or(|known| known.number < pause.number)
    }

    /// Whether this host is to probe any pause.
    pub(super) fn has_tokens(&self) -> bool {
        self.pauses.values().any(|known| known.prober.is_some_and(|(host, _)| host == self.host))
    }

    /// Others may probe what this host has, if its probe has come to nothing. `is_probing`: whether one is out.
    pub(super) fn return_tokens(&mut self, is_probing: impl Fn(&Scope) -> bool) {
        let mut returned = Vec::new();
        for (scope, known) in &mut self.pauses {
            let is_prober = known.prober.is_some_and(|(host, _)| host == self.host);
            let is_out = is_prober && is_probing(scope);
            if is_prober && known.has_probed && !is_out {
                known.prober = None;
                returned.push(scope.clone());
            }
            known.has_probed = is_out;
        }
        // Who was refused says that.
        returned.retain(|scope| !self.is_reporting(scope));
        returned.into_iter().for_each(|scope| self.report(PauseReport::Unprobed(scope)));
    }

    /// The fleet says that the pause with this number is over. Whether it was known.
    pub(super) fn forget_pause(&mut self, scope: &Scope, number: u64) -> bool {
        // What this host has just been told by the server itself is newer.
        let is_over = !self.is_reporting(scope) && self.pauses.get(scope).is_some_and(|known| known.number <= number);
        if is_over {
            self.pauses.remove(scope);
        }
        is_over
    }

    /// This host was refused.
    pub(super) fn report_pause(&mut self, scope: Scope, lasts: Duration) {
        // While the store can't be reached it may be refused many times.
        self.reports.retain(|report| *report.scope() != scope);
        self.report(PauseReport::Paused(scope, lasts));
    }

    fn report(&mut self, report: PauseReport) {
        if self.reports.len() < REPORTS_MAX || *report.scope() == Scope::Organization {
            self.reports.push(report);
        }
    }

    /// This host was let through.
    pub(super) fn report_resumed(&mut self, scope: Scope) {
        let is_told = self.is_reporting(&scope);
        self.reports.retain(|report| !matches!(report, PauseReport::Paused(own, _) if *own == scope));
        self.probes.remove(&scope);
        let known = self.pauses.remove(&scope).map(|known| known.number);
        // Who has heard of no number is the last who was refused.
        let number = if is_told { Some(NEWEST) } else { known };
        if let Some(number) = number {
            self.report(PauseReport::Resumed(scope, number));
        }
    }

    /// Whether the store has yet to hear, or to answer, that this host was refused.
    fn is_reporting(&self, scope: &Scope) -> bool {
        let under_way = match &self.call {
            Call::UnderWay(renewal) | Call::Failed(renewal, _) => &renewal.pauses[..],
            Call::Idle => &[],
        };
        let is_pause = |report: &PauseReport| matches!(report, PauseReport::Paused(own, _) if own == scope);
        self.reports.iter().chain(under_way).any(is_pause)
    }

    /// Whether this host may probe. If not, it asks for that.
    pub(super) fn token(&mut self, now: Timestamp, scope: &Scope) -> Token {
        let Some(known) = self.pauses.get(scope) else { return Token::Held };
        match known.prober {
            Some((prober, until)) if now < until && prober == self.host => Token::Held,
            Some((_, until)) if now < until => Token::Wanted(Some(until)),
            _ => {
                let is_asked = matches!(&self.call, Call::UnderWay(renewal) if renewal.probes.contains(scope));
                if !is_asked {
                    self.probes.insert(scope.clone());
                }
                Token::Wanted(None)
            }
        }
    }

    /// Others lack slots that these hosts have.
    pub(super) fn urge(&mut self, holders: &[Host]) {
        self.is_urged |= holders.contains(&self.host);
    }

    /// There are slots again for these hosts.
    pub(super) fn invite(&mut self, waiting: &[Host]) {
        self.is_invited |= waiting.contains(&self.host);
    }

    /// Why the store does not answer, and since when.
    pub(super) fn problem(&self) -> Option<(&Failure, Timestamp)> {
        self.problem.as_ref().zip(self.failing_since)
    }

    /// When a renewal that has failed is sent again.
    pub(super) fn again_at(&self) -> Option<Timestamp> {
        match self.call {
            Call::Failed(_, at) => Some(at),
            Call::Idle | Call::UnderWay(_) => None,
        }
    }

    /// Listeners are to know that there is, or isn't, an outage. Whether that is news.
    pub(super) fn tell_outage(&mut self, is_out: bool) -> bool {
        std::mem::replace(&mut self.is_outage_told, is_out) != is_out
    }

    pub(super) fn is_out(&self) -> bool {
        self.is_outage_told
    }

    pub(super) fn host(&self) -> Host {
        self.host
    }

    pub(super) fn hosts(&self) -> u32 {
        self.hosts
    }

    pub(super) fn differs(&self) -> bool {
        self.differs
    }

    pub(super) fn renewals(&self) -> u64 {
        self.renewals
    }

    pub(super) fn forgetting_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.forgetting_until.filter(|until| *until > now)
    }
}

#[cfg(test)]
mod tests;
