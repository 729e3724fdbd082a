//! The store's side of the protocol as code: what a store does with a renewal.
//!
//! The script that runs on the store has the same rules; a test runs the same histories through both. Time comes from
//! the store's own clock, in microseconds, as far as hosts confirm it ([`clock`]), and chance from the renewals, so
//! that the same history gives the same answers.
//!
//! # What holds at every step
//! Of each window, the shares of all hosts and the slots in the pool are never more than the quota; they are as many,
//! unless the store has forgotten.
//!
//! # A host that is late
//! A lease ends at its deadline, but what the host held stays its own until nothing that it has sent can count any
//! more:
//! [`LATENESS`] and a window later. A host that comes back sooner goes on as if nothing had been; only its deadline has
//! passed meanwhile, and so it has sent nothing. Afterwards its slots are the pool's, free.
//!
//! # A store that has forgotten
//! A store that begins, or that finds that it is not what it was (another run of the server, an epoch or a version
//! that a host knows and it doesn't), may have forgotten who holds what. Hosts with a lease in force then keep what
//! they say that they hold, and nobody gets anything more until every lease that it may have forgotten is over, and a
//! window later. A store that is new can't tell that nobody was before, and waits as well.

mod clock;
mod pauses;
mod pool;
mod record;
mod targets;

use std::collections::BTreeMap;
use std::time::Duration;

use self::clock::{Clock, Now, Witness};
use self::pauses::Pauses;
use self::pool::Pool;
use self::record::{Part, Record, Turn};
use self::targets::{Claim, Due, targets};
use super::broadcast::Broadcast;
use super::grant::{Grant, WindowGrant};
use super::identity::{Epoch, Host, LeaseId};
use super::renewal::{Renewal, Rest, Seen, WindowReport};
use super::{GUARD, LATENESS, LEASE_MAX};

/// Microseconds, on the store's clock or as a span.
pub type Micros = u64;

/// Where there are fewer slots for each host, hosts are told at once of a single one that is free.
const SCARCE: u32 = 8;
const WEIGHT_MAX: u32 = 1_000_000;

/// What the server says of itself when it executes a renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its clock. It may jump.
    pub now: Micros,
    /// Names its run: another one after each start, and on each of its replicas.
    pub run: u64,
}

/// How a renewal relates to what the store knows of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// The store has its answer already, or it is late.
    Known,
    /// It goes on with the lease.
    Next,
    /// The store has no lease that it could go on with.
    New,
    /// The store has forgotten it, and takes the host's word.
    Claims,
}

/// The budget of one organization, as the store keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    /// None before the first renewal.
    memory: Option<Memory>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Memory {
    run: u64,
    epoch: Epoch,
    version: u64,
    clock: Clock,
    /// That of the host whose turn was over last, at least.
    pass: u64,
    /// Until when nothing is handed out.
    forgetting: Option<Micros>,
    /// By the window's length.
    pools: BTreeMap<Micros, Pool>,
    hosts: BTreeMap<Host, Record>,
    pauses: Pauses,
}

/// What a window has in shares and in the pool, for a test's eyes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holding {
    /// The window.
    pub per: Micros,
    /// The quota of the fleet.
    pub requests: u32,
    /// The shares of all hosts.
    pub shared: u32,
    /// The pool.
    pub pooled: u32,
}

impl Book {
    /// Executes a renewal. What comes of it for the host, and what all hosts are told.
    pub fn renew(&mut self, server: Server, renewal: &Renewal) -> (Grant, Vec<Broadcast>) {
        let memory = self.memory.get_or_insert_with(|| Memory::new(server, renewal));
        memory.renew(server, renewal)
    }

    /// The epoch and the version, if there are any.
    pub fn age(&self) -> Option<(Epoch, u64)> {
        self.memory.as_ref().map(|memory| (memory.epoch, memory.version))
    }

    /// What there is of each window.
    pub fn holdings(&self) -> Vec<Holding> {
        let Some(memory) = &self.memory else { return Vec::new() };
        let pers = memory.pools.keys();
        pers.map(|per| Holding {
            per: *per,
            requests: memory.requests(*per).unwrap_or(u32::MAX),
            shared: memory.shared(*per),
            pooled: memory.pools[per].total(),
        })
        .collect()
    }

    /// The share of each host in a window.
    pub fn shares(&self, per: Micros) -> Vec<(Host, u32)> {
        let hosts = self.memory.iter().flat_map(|memory| &memory.hosts);
        hosts.map(|(host, record)| (*host, record.share(per))).collect()
    }
}

impl Memory {
    fn new(server: Server, renewal: &Renewal) -> Self {
        let mut memory = Self {
            run: server.run,
            epoch: Epoch(renewal.draw),
            version: 0,
            clock: Clock::new(server.now),
            pass: 0,
            forgetting: None,
            pools: BTreeMap::new(),
            hosts: BTreeMap::new(),
            pauses: Pauses::default(),
        };
        memory.forget(server, renewal);
        memory
    }

    /// Begins a new epoch, in which nothing is known.
    fn forget(&mut self, server: Server, renewal: &Renewal) {
        self.run = server.run;
        self.epoch = Epoch(renewal.draw);
        self.clock = Clock::new(server.now);
        self.hosts.clear();
        self.pools.values_mut().for_each(Pool::clear);
        self.pauses.clear();
        let known = self.pools.keys().copied();
        let longest = known.chain(renewal.windows.iter().map(|window| micros(window.per))).max().unwrap_or_default();
        self.forgetting = Some(server.now + micros(LEASE_MAX) + late(longest));
    }

    fn renew(&mut self, server: Server, renewal: &Renewal) -> (Grant, Vec<Broadcast>) {
        if server.run != self.run || self.is_behind(renewal) {
            self.forget(server, renewal);
        }
        let now = self.clock.advance(server.now, self.witness(renewal));
        if self.standing(renewal) == Standing::Known {
            // It tells nothing of the time that has passed, and so nobody loses anything by it.
            return (self.grant(now, renewal), Vec::new());
        }
        self.dissolve(now);
        let standing = self.standing(renewal);
        let mut broadcasts = Vec::new();
        self.version += 1;
        if standing == Standing::Next {
            self.end_turn(now, renewal);
        }
        let open = match standing {
            Standing::Next => self.hosts.remove(&renewal.host),
            Standing::New | Standing::Claims | Standing::Known => {
                self.end(now, renewal.host);
                None
            }
        };
        let mut record = open.unwrap_or_else(|| Record {
            lease: LeaseId(self.version),
            first: renewal.number,
            number: renewal.number,
            deadline: now.latest,
            weight: 1,
            pass: self.pass,
            stride: 0,
            turn: None,
            parts: BTreeMap::new(),
        });
        let needed = record.needs();
        record.number = renewal.number;
        record.deadline = now.latest + micros(renewal.lasts.min(LEASE_MAX));
        record.weight = renewal.weight.clamp(1, WEIGHT_MAX);
        for window in &renewal.windows {
            self.take_in(now, &mut record, window, standing);
        }
        if !needed && record.needs() {
            // It has missed no turns while it needed nothing.
            record.pass = record.pass.max(self.pass);
        }
        self.hosts.insert(renewal.host, record);
        // Also of windows that this host doesn't have: who had the most of them may just have been dissolved.
        self.fill_all(now);
        let mut gives = false;
        for window in &renewal.windows {
            gives |= standing == Standing::Next && !window.back.is_empty();
            self.aim(now, micros(window.per));
            self.hand_out(renewal.host, micros(window.per));
        }
        self.tell_slots(now, renewal, gives, &mut broadcasts);
        self.pauses.prune(now.latest);
        renewal.pauses.iter().for_each(|report| self.pauses.report(now.latest, renewal.host, report, &mut broadcasts));
        renewal.probes.iter().for_each(|scope| self.pauses.ask(now.latest, renewal.host, scope));
        self.audit();
        (self.grant(now, renewal), broadcasts)
    }

    /// Whether the host knows of a later state than this one: it was restored from an older one.
    fn is_behind(&self, renewal: &Renewal) -> bool {
        let Some(seen) = renewal.seen else { return false };
        if seen.epoch != self.epoch {
            return seen.is_live && self.forgetting.is_none();
        }
        let known = self.hosts.get(&renewal.host).filter(|record| record.lease == seen.lease);
        seen.version > self.version || known.is_some_and(|record| record.number + 1 < renewal.number)
    }

    fn standing(&self, renewal: &Renewal) -> Standing {
        let lease = renewal.seen.filter(|seen| seen.epoch == self.epoch).map(|seen| seen.lease);
        match self.hosts.get(&renewal.host) {
            Some(record) if renewal.number < record.number => Standing::Known,
            Some(record) if renewal.number == record.number => {
                let is_same = record.first == renewal.number || lease == Some(record.lease);
                if is_same { Standing::Known } else { Standing::New }
            }
            Some(record) if lease == Some(record.lease) && renewal.number == record.number + 1 => Standing::Next,
            _ => match renewal.seen {
                Some(Seen { is_live: true, epoch, .. }) if self.forgetting.is_some() && epoch != self.epoch => {
                    Standing::Claims
                }
                _ => Standing::New,
            },
        }
    }

    /// What the host says of the time.
    fn witness(&self, renewal: &Renewal) -> Option<Witness> {
        let seen = renewal.seen.filter(|seen| seen.epoch == self.epoch)?;
        Some(Witness { reading: micros(seen.clock), since: micros(seen.since) })
    }

    /// What dead hosts held, and what was forgotten, is the pool's when nothing of it can count any more.
    fn dissolve(&mut self, now: Now) {
        for record in self.hosts.values_mut() {
            for (per, part) in &mut record.parts {
                if part.share > 0 && now.earliest >= record.deadline + late(*per) {
                    self.pools.entry(*per).or_default().put(now.earliest, std::mem::take(&mut part.share));
                    part.fresh.clear();
                }
            }
        }
        self.hosts.retain(|_, record| {
            let longest = record.parts.keys().next_back().copied().unwrap_or_default();
            now.earliest < record.deadline + late(longest)
        });
        if self.forgetting.is_some_and(|until| until <= now.earliest) {
            self.forgetting = None;
        }
    }

    /// A host's lease that nobody can go on with: what it held rests in full.
    fn end(&mut self, now: Now, host: Host) {
        let Some(record) = self.hosts.remove(&host) else { return };
        for (per, part) in record.parts {
            let free_at = record.deadline.max(now.latest) + late(per);
            self.pools.entry(per).or_default().put(free_at, part.share);
        }
    }

    /// What the host says of a window.
    fn take_in(&mut self, now: Now, record: &mut Record, window: &WindowReport, standing: Standing) {
        let per = micros(window.per);
        let requests = self.requests(per).unwrap_or(u32::MAX).min(window.requests.get());
        let known = self.shared(per) + self.pools.entry(per).or_default().total();
        let part = record.parts.entry(per).or_insert(Part {
            requests: 0,
            need: 0,
            share: 0,
            target: 0,
            has_turn: false,
            fresh: Vec::new(),
        });
        part.requests = window.requests.get();
        part.need = window.need.min(window.requests.get());
        part.fresh.clear();
        let back: u32 = window.back.iter().map(|rest| rest.slots).sum();
        if standing == Standing::Claims {
            // What it has given back may be another host's by now.
            let claim = window.held.saturating_sub(back);
            part.share = claim.min(requests.saturating_sub(known));
        }
        if standing == Standing::Next {
            let pool = self.pools.entry(per).or_default();
            for Rest { span, slots } in &window.back {
                let slots = (*slots).min(part.share);
                part.share -= slots;
                let rests = micros(*span).min(late(per));
                pool.put(if rests == 0 { now.earliest } else { now.latest + rests }, slots);
            }
        }
    }

    fn fill_all(&mut self, now: Now) {
        let pers: Vec<Micros> = self.pools.keys().copied().collect();
        pers.into_iter().for_each(|per| self.fill(now, per));
    }

    /// There are as many slots as the quota allows, as soon as what is too many comes back.
    fn fill(&mut self, now: Now, per: Micros) {
        let Some(requests) = self.requests(per) else { return };
        let shared = self.shared(per);
        let is_forgetting = self.forgetting.is_some();
        let pool = self.pools.entry(per).or_default();
        let total = shared + pool.total();
        if total > requests {
            pool.take(total - requests);
        } else if !is_forgetting {
            pool.put(now.earliest, requests - total);
        }
    }

    /// The quota of the fleet: the lowest that is configured.
    fn requests(&self, per: Micros) -> Option<u32> {
        self.hosts.values().filter_map(|record| record.parts.get(&per)).map(|part| part.requests).min()
    }

    fn shared(&self, per: Micros) -> u32 {
        self.hosts.values().map(|record| record.share(per)).sum()
    }

    /// Hosts that need slots of a window, in order.
    fn claims(&self, now: Now, per: Micros) -> (Vec<Host>, Vec<Claim>) {
        let live = self.hosts.iter().filter(|(_, record)| record.is_live(now.earliest));
        let claims = live.filter_map(|(host, record)| {
            let part = record.parts.get(&per).filter(|part| part.need > 0)?;
            Some((
                *host,
                Claim { weight: record.weight, need: part.need, pass: record.pass, in_turn: record.has_turn() },
            ))
        });
        claims.unzip()
    }

    /// Slots that are not a dead host's.
    fn divisible(&self, now: Now, per: Micros) -> u32 {
        let dead =
            self.hosts.values().filter(|record| !record.is_live(now.earliest)).map(|record| record.share(per)).sum();
        self.requests(per).unwrap_or_default().saturating_sub(dead)
    }

    /// The turn of a host is over when it has used what it had by it.
    fn end_turn(&mut self, now: Now, renewal: &Renewal) {
        let Some(per) = self.shortest() else { return };
        let Some(record) = self.hosts.get_mut(&renewal.host) else { return };
        if record.ends_turn(now.earliest, per, renewal.sent) {
            self.pass = self.pass.max(record.pass);
            record.pass += record.stride;
        }
    }

    fn shortest(&self) -> Option<Micros> {
        self.pools.keys().next().copied()
    }

    /// Sets every host's target.
    fn aim(&mut self, now: Now, per: Micros) {
        let (hosts, claims) = self.claims(now, per);
        let due = targets(self.divisible(now, per), &claims);
        let mut due = hosts.into_iter().zip(due).collect::<BTreeMap<Host, Due>>();
        let is_forgetting = self.forgetting.is_some();
        let is_shortest = self.shortest() == Some(per);
        let is_scarce = self.is_scarce(now, per);
        for (host, record) in &mut self.hosts {
            let Due { slots, stride } = due.remove(host).unwrap_or_default();
            if is_shortest {
                record.stride = stride.unwrap_or(record.stride);
                record.turn = stride.map(|_| record.turn.unwrap_or(Turn { began: now.earliest, sent: 0 }));
            }
            let Some(part) = record.parts.get_mut(&per) else { continue };
            // While nobody could have what it would give back, a host keeps what it has.
            part.target = if is_forgetting { part.share } else { slots };
            part.has_turn = is_scarce && !is_forgetting && stride.is_some();
        }
    }

    fn hand_out(&mut self, host: Host, per: Micros) {
        if self.forgetting.is_some() {
            return;
        }
        let Some(part) = self.hosts.get_mut(&host).and_then(|record| record.parts.get_mut(&per)) else { return };
        let pool = self.pools.entry(per).or_default();
        part.fresh = pool.take(part.target.saturating_sub(part.share));
        part.share += part.fresh.iter().map(|(_, slots)| slots).sum::<u32>();
    }

    /// Whether a host that has a lease lacks slots of a window, or waits for its turn where slots are few.
    fn is_short(&self, now: Now) -> bool {
        let live = || self.hosts.values().filter(|record| record.is_live(now.earliest));
        let has_turns = self.shortest().is_some_and(|per| self.is_scarce(now, per)) && live().any(Record::has_turn);
        has_turns || live().any(|record| record.parts.values().any(|part| part.share < part.target))
    }

    /// Whether a single slot matters, since there are few for each host.
    fn is_scarce(&self, now: Now, per: Micros) -> bool {
        let live = self.hosts.values().filter(|record| record.is_live(now.earliest));
        self.requests(per).unwrap_or_default() < SCARCE.saturating_mul(count(live))
    }

    /// Tells who has more than is due to it that others have less, and these that there is something again.
    fn tell_slots(&self, now: Now, renewal: &Renewal, gives: bool, broadcasts: &mut Vec<Broadcast>) {
        if self.forgetting.is_some() {
            return;
        }
        let live = || self.hosts.iter().filter(|(_, record)| record.is_live(now.earliest));
        let others = |is: &dyn Fn(&Record) -> bool| {
            let others = live().filter(|(host, record)| **host != renewal.host && is(record));
            others.map(|(host, _)| *host).collect::<Vec<Host>>()
        };
        let pers: Vec<Micros> = renewal.windows.iter().map(|window| micros(window.per)).collect();
        let own = self.hosts.get(&renewal.host);
        let lacking = |per: &&Micros| own.is_some_and(|own| own.lacks(**per));
        let lacking: Vec<Micros> = pers.iter().filter(lacking).copied().collect();
        let holders = others(&|record| lacking.iter().any(|per| record.exceeds(*per)));
        if !holders.is_empty() {
            broadcasts.push(Broadcast::Short(holders));
        }
        let has_free = |per: Micros| self.pools.get(&per).is_some_and(|pool| !pool.is_empty());
        let is_told = |per: &&Micros| gives && has_free(**per) && self.is_scarce(now, **per);
        let scarce: Vec<Micros> = pers.iter().filter(is_told).copied().collect();
        let waiting = others(&|record| scarce.iter().any(|per| record.is_short(*per)));
        if !waiting.is_empty() {
            broadcasts.push(Broadcast::Free(waiting));
        }
    }

    fn grant(&self, now: Now, renewal: &Renewal) -> Grant {
        let record = self.hosts.get(&renewal.host);
        let window = |window: &WindowReport| {
            let part = record.and_then(|record| record.parts.get(&micros(window.per)));
            let rests = part.iter().flat_map(|part| &part.fresh);
            WindowGrant {
                per: window.per,
                requests: self.requests(micros(window.per)).unwrap_or_default(),
                share: part.map_or(0, |part| part.share),
                target: part.map_or(0, |part| part.target),
                has_turn: part.is_some_and(|part| part.has_turn),
                fresh: rests
                    .map(|(at, slots)| Rest { span: span(at.saturating_sub(now.earliest)), slots: *slots })
                    .collect(),
            }
        };
        let live = self.hosts.values().filter(|record| record.is_live(now.earliest));
        Grant {
            number: renewal.number,
            epoch: self.epoch,
            version: self.version,
            lease: record.map_or(LeaseId(0), |record| record.lease),
            clock: span(self.clock.reading()),
            // The latest end of the time may have been wrong when the lease began.
            lasts: span(record.map_or(0, |record| record.deadline.saturating_sub(now.latest))).min(LEASE_MAX),
            windows: renewal.windows.iter().map(window).collect(),
            is_short: self.is_short(now),
            forgetting: self.forgetting.map(|until| span(until.saturating_sub(now.earliest))),
            hosts: count(live.clone()),
            differs: self.differs(live),
            pauses: self.pauses.all(now.latest),
        }
    }

    fn differs<'a>(&self, mut live: impl Iterator<Item = &'a Record>) -> bool {
        let quota = |record: &Record| record.parts.iter().map(|(per, part)| (*per, part.requests)).collect::<Vec<_>>();
        let first = live.next().map(quota);
        live.any(|record| Some(quota(record)) != first)
    }

    /// What holds at every step.
    fn audit(&self) {
        for (per, pool) in &self.pools {
            let configured = self.hosts.values().filter_map(|record| record.parts.get(per)).map(|part| part.requests);
            let most = configured.max().unwrap_or(u32::MAX);
            debug_assert!(self.shared(*per) + pool.total() <= most, "more slots of a window than it has: {self:?}");
        }
    }
}

/// After the end of a lease, or of a rest that is not to be trusted, nothing of it counts any more in a window.
fn late(per: Micros) -> Micros {
    micros(LATENESS) + per + micros(GUARD)
}

fn micros(span: Duration) -> Micros {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

fn span(micros: Micros) -> Duration {
    Duration::from_micros(micros)
}

fn count(hosts: impl Iterator) -> u32 {
    u32::try_from(hosts.count()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
