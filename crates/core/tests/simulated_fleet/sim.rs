//! The simulation: a virtual clock, hosts, the store between them, and the server's model at the other end.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use spillway_core::dispatcher::{AttemptId, Effect, Event};
use spillway_core::lease::{Broadcast, Failure, FailureKind, Grant, Host as Name, Renewal, Seen};
use spillway_core::retry::Answer;
use spillway_core::settings::{RedisUrl, Settings, Shared, WhenUnreachable};
use spillway_core::shipment::Shipment;
use spillway_simulator::{Config, Model, Reply};

use super::arrivals::Arrivals;
use super::draw::Draw;
use super::host::{Host, Inbound};
use super::plan::{Plan, Traffic, Weather};
use super::store::Store;
use super::violation::{Checked, Violation, broken, hold};
use super::wire;

/// A host waits so long for the store's answer.
const PATIENCE_US: u64 = 1_000_000;
/// More steps than any seed needs.
const STEPS_MAX: u64 = 2_000_000;
/// After the last of the weather everything is sent within this time, and what the quota takes.
const RECOVERY_US: u64 = 60_000_000;

/// A rule that is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breach {
    None,
    /// A request leaves whether or not the lease is over.
    NoLeaseAtDeparture,
    /// The store's server keeps its name whatever befalls it.
    RunsHidden,
    /// Slots are taken without their rests.
    NoRests,
    /// A lease is taken to be longer than it is.
    LongLeases,
}

#[derive(Debug)]
enum Happening {
    Weather(Weather),
    Starts(super::plan::Fate),
    Submits(usize, u64, u64),
    Thaws(usize),
    Leaves(usize, AttemptId, Shipment),
    Arrives(usize, AttemptId, Shipment),
    Answers(usize, AttemptId, Option<Reply>),
    /// At the store; with whether its answer is on its way to somebody who waits.
    Executes(usize, Box<Renewal>, u64, bool),
    Hears(usize, Event),
}

pub struct Sim {
    pub plan: Plan,
    draw: Draw,
    settings: Arc<Settings>,
    pub hosts: Vec<Host>,
    pub store: Store,
    model: Model,
    arrivals: Arrivals,
    agenda: BTreeMap<(u64, u64), Happening>,
    planned: u64,
    slow_until: u64,
    authorization: String,
    breach: Breach,
    pub now_us: u64,
    pub arrived: u64,
    pub withheld: u64,
    pub befell: BTreeMap<&'static str, u64>,
    /// The run ends here, whatever is left to do.
    pub stop_us: Option<u64>,
    pub trace: Option<Vec<String>>,
}

impl Sim {
    pub fn new(plan: Plan, breach: Breach) -> Self {
        let mut draw = Draw::stream(plan.seed, 2);
        let rates: Vec<_> =
            plan.rates.iter().map(|(requests, per_ms)| json!({ "requests": requests, "perMs": per_ms })).collect();
        let options = json!({
            "organization": "fleet",
            "apiUrl": "http://127.0.0.1:1",
            "credentials": { "clientId": "id", "clientSecret": "right" },
            "route": "messaging",
            "store": "memory",
            "rateLimit": rates,
            "retry": { "maxAttempts": 1_000, "maxAgeMs": 86_400_000, "maxPauseMs": 10_000 },
            "connections": { "max": 64, "requestTimeoutMs": 5_000 },
        });
        let mut settings = Settings::from_json(&options.to_string()).unwrap();
        settings.shared =
            Some(Shared { url: RedisUrl::parse("redis://fleet").unwrap(), when_unreachable: WhenUnreachable::Hold });
        let quota: Vec<_> = plan
            .rates
            .iter()
            .map(|(requests, per_ms)| json!({ "requests": requests, "perMs": per_ms, "algorithm": "sliding-log" }))
            .collect();
        let server = json!({ "quota": quota, "credentials": { "clientId": "id", "clientSecret": "right" },
            "headers": "none", "latencyMs": { "min": 0, "max": 0 }, "tokenLifeMs": 86_400_000 });
        let mut model = Model::new(Config::from_json(&server.to_string()).unwrap(), draw.next());
        let token = model.oauth(0, &wire::token_request("Basic aWQ6cmlnaHQ="));
        let (_, authorization) = wire::token_event(&token, 0);
        let mut sim = Self {
            arrivals: Arrivals::new(&settings.rates),
            settings: Arc::new(settings),
            hosts: Vec::new(),
            store: Store::new(),
            model,
            agenda: BTreeMap::new(),
            planned: 0,
            slow_until: 0,
            authorization: authorization.unwrap(),
            breach,
            now_us: 0,
            arrived: 0,
            withheld: 0,
            befell: BTreeMap::new(),
            stop_us: None,
            trace: None,
            draw,
            plan,
        };
        sim.store.hides_its_runs = breach == Breach::RunsHidden;
        if sim.plan.is_learned {
            sim.teach();
        }
        for (at, weather) in sim.plan.weather.clone() {
            sim.later(sim.now_us + at, Happening::Weather(weather));
        }
        for traffic in sim.plan.hosts.clone() {
            sim.join(traffic);
        }
        sim
    }

    /// Somebody has been there before: the store hands out what it has.
    fn teach(&mut self) {
        let windows = self.settings.rates.iter().map(|rate| spillway_core::lease::WindowReport {
            per: rate.per,
            requests: rate.requests,
            held: 0,
            need: 0,
            back: Vec::new(),
        });
        let mut renewal = Renewal {
            host: Name(1),
            number: 1,
            seen: None,
            weight: 1,
            sent: 0,
            lasts: std::time::Duration::ZERO,
            windows: windows.collect(),
            pauses: Vec::new(),
            probes: Vec::new(),
            draw: self.draw.next() >> 11,
        };
        let (grant, _) = self.store.execute(0, &renewal);
        self.now_us = 60_000_000;
        renewal.number = 2;
        renewal.seen = Some(Seen {
            epoch: grant.epoch,
            version: grant.version,
            lease: grant.lease,
            clock: grant.clock,
            since: std::time::Duration::from_micros(self.now_us),
            is_live: false,
        });
        self.store.execute(self.now_us, &renewal);
    }

    fn join(&mut self, traffic: Traffic) {
        let mut host = Host::new(&self.settings, &mut self.draw);
        let name = self.hosts.len();
        let effects = host.token(self.now_us);
        self.hosts.push(host);
        assert!(effects.is_empty(), "nothing waits yet");
        let mut left = traffic.messages;
        while left > 0 {
            let burst = traffic.burst.min(left);
            left -= burst;
            let at_us = self.now_us + self.draw.below(traffic.within_us);
            self.later(at_us, Happening::Submits(name, burst, traffic.conversations));
        }
    }

    pub fn delivered(&self) -> u64 {
        self.hosts.iter().map(|host| host.delivered.len() as u64).sum()
    }

    pub fn run(&mut self) -> Checked {
        for _ in 0..STEPS_MAX {
            let planned = self.agenda.first_key_value().map(|((at_us, _), _)| *at_us);
            let wake = self.hosts.iter().enumerate().filter_map(|(name, host)| Some((host.wake()?, name))).min();
            let next = [planned, wake.map(|(at_us, _)| at_us)].into_iter().flatten().min();
            if (self.is_done() && self.stop_us.is_none())
                || next.is_none_or(|next| self.stop_us.is_some_and(|stop| next > stop))
            {
                return self.check_end();
            }
            let at_us = next.unwrap_or_default().max(self.now_us);
            self.check_patience(at_us)?;
            let is_planned = planned.is_some_and(|planned| planned <= at_us);
            self.now_us = at_us;
            if is_planned {
                let Some((_, happening)) = self.agenda.pop_first() else { unreachable!("one is planned") };
                self.note(|| format!("{happening:?}"));
                self.happen(happening)?;
            } else if let Some((_, name)) = wake {
                self.poll(name)?;
            }
        }
        broken("livelock", format!("{STEPS_MAX} steps"))
    }

    /// Whether everything that was to happen has, and every message is settled.
    fn is_done(&self) -> bool {
        let is_over = |happening: &Happening| !matches!(happening, Happening::Weather(_) | Happening::Submits(..));
        self.hosts.iter().all(|host| !host.is_alive || host.dispatcher.is_idle()) && self.agenda.values().all(is_over)
    }

    /// What is accepted is sent, soon after the weather is over.
    fn check_patience(&self, at_us: u64) -> Checked {
        let last = self.plan.weather.iter().map(|(at, weather)| {
            at + match weather {
                Weather::Frozen(_, span) | Weather::Down(span, _) | Weather::Cut(_, span) | Weather::Slow(span) => {
                    *span
                }
                _ => 0,
            }
        });
        let started = if self.plan.is_learned { 60_000_000 } else { 0 };
        let calm_us = started + last.max().unwrap_or_default().max(self.plan.calm_us);
        let work = self.hosts.iter().map(|host| host.submitted).sum::<u64>();
        let slowest = self.plan.rates.iter().map(|(quota, per_ms)| (work / quota + 2) * per_ms * 1_000).max();
        let until_us = calm_us + RECOVERY_US + 4 * slowest.unwrap_or_default();
        hold(at_us < until_us, "progress", || {
            let left = |host: &Host| host.is_alive.then(|| host.dispatcher.unsettled());
            let left: Vec<_> = self.hosts.iter().filter_map(left).collect();
            format!("{left:?} are left; the store has {}", self.store.words(&self.plan.rates))
        })
    }

    fn check_end(&mut self) -> Checked {
        if self.stop_us.is_none() {
            for (name, host) in self.hosts.iter().enumerate().filter(|(_, host)| host.is_alive) {
                let delivered = host.delivered.len() as u64;
                hold(delivered == host.submitted, "lost", || {
                    format!("host {name}: {delivered} of {}", host.submitted)
                })?;
            }
        }
        let ledger = self.model.ledger(false);
        hold(ledger.most_in_window == self.arrivals.most(), "budget", || format!("the ledger counts {ledger:?}"))
    }

    fn happen(&mut self, happening: Happening) -> Checked {
        match happening {
            Happening::Weather(weather) => self.befall(weather),
            Happening::Starts(fate) => {
                self.store.start(self.now_us, fate);
                Ok(())
            }
            Happening::Submits(name, burst, conversations) => {
                for _ in 0..burst {
                    let conversation = self.draw.below(conversations);
                    let host = &mut self.hosts[name];
                    if host.is_alive && host.frozen_until <= self.now_us {
                        let effects = host.submit(self.now_us, name, conversation);
                        self.perform(name, effects)?;
                    }
                }
                self.poll(name)
            }
            Happening::Thaws(name) => self.thaw(name),
            Happening::Leaves(name, attempt, shipment) => self.inbound(name, Inbound::Leaves(attempt, shipment)),
            Happening::Hears(name, event) => self.inbound(name, Inbound::Event(event)),
            Happening::Arrives(name, attempt, shipment) => self.arrive(name, attempt, &shipment),
            Happening::Answers(name, attempt, reply) => {
                let answer = match reply {
                    Some(reply) => wire::answer(&reply, self.now_us),
                    None => Answer::Unanswered { problem: "cut".to_owned() },
                };
                self.inbound(name, Inbound::Event(Event::Answered(attempt, answer)))
            }
            Happening::Executes(name, renewal, sent_us, is_awaited) => {
                self.execute(name, &renewal, sent_us, is_awaited)
            }
        }
    }

    fn inbound(&mut self, name: usize, inbound: Inbound) -> Checked {
        let host = &mut self.hosts[name];
        if !host.is_alive {
            return Ok(());
        }
        if host.frozen_until > self.now_us {
            host.inbox.push(inbound);
            return Ok(());
        }
        self.take(name, inbound)?;
        self.poll(name)
    }

    fn take(&mut self, name: usize, inbound: Inbound) -> Checked {
        match inbound {
            Inbound::Event(event) => {
                let effects = self.hosts[name].handle(self.now_us, event);
                self.perform(name, effects)
            }
            Inbound::Leaves(attempt, shipment) => self.leave(name, attempt, shipment),
        }
    }

    fn thaw(&mut self, name: usize) -> Checked {
        if !self.hosts[name].is_alive || self.hosts[name].frozen_until > self.now_us {
            return Ok(());
        }
        for inbound in std::mem::take(&mut self.hosts[name].inbox) {
            self.take(name, inbound)?;
        }
        self.poll(name)
    }

    fn poll(&mut self, name: usize) -> Checked {
        let host = &mut self.hosts[name];
        if !host.is_alive || host.frozen_until > self.now_us {
            return Ok(());
        }
        let effects = host.poll(self.now_us);
        self.perform(name, effects)
    }

    fn perform(&mut self, name: usize, effects: Vec<Effect>) -> Checked {
        for effect in effects {
            self.note(|| format!("  {name} -> {effect:?}"));
            match effect {
                Effect::Send { attempt, shipment } if self.plan.departing_us == 0 => {
                    self.leave(name, attempt, shipment)?;
                }
                Effect::Send { attempt, shipment } => {
                    let at_us = self.now_us + self.draw.below(self.plan.departing_us);
                    self.later(at_us, Happening::Leaves(name, attempt, shipment));
                }
                Effect::FetchToken(_) => {
                    let effects = self.hosts[name].token(self.now_us);
                    self.perform(name, effects)?;
                }
                Effect::Renew(renewal) => self.renew(name, renewal),
                Effect::Delivered { receipt, .. } => {
                    let host = &mut self.hosts[name];
                    host.delivered.insert(receipt.message.id().into());
                    host.delivered_at.push(self.now_us);
                }
                Effect::Buried { failure, .. } => return broken("lost", format!("{failure:?}")),
                _ => {}
            }
        }
        Ok(())
    }

    /// The last moment before the wire.
    fn leave(&mut self, name: usize, attempt: AttemptId, shipment: Shipment) -> Checked {
        let host = &mut self.hosts[name];
        let may_leave = match self.breach {
            Breach::NoLeaseAtDeparture => host.dispatcher.may_leave(attempt),
            _ => host.dispatcher.may_leave_at(host.at(self.now_us), attempt),
        };
        if !may_leave {
            self.withheld += 1;
            let effects = host.handle(self.now_us, Event::Withheld(attempt));
            return self.perform(name, effects);
        }
        let effects = host.handle(self.now_us, Event::Left(attempt));
        self.perform(name, effects)?;
        let at_us = self.now_us + self.draw.below(self.plan.latency_us);
        self.later(at_us, Happening::Arrives(name, attempt, shipment));
        Ok(())
    }

    fn arrive(&mut self, name: usize, attempt: AttemptId, shipment: &Shipment) -> Checked {
        if self.draw.percent(self.plan.unanswered_percent) {
            let at_us = self.now_us + self.draw.below(self.plan.latency_us);
            let arrives = self.draw.percent(50);
            self.later(at_us, Happening::Answers(name, attempt, None));
            if !arrives {
                return Ok(());
            }
        }
        let reply = self.model.arrive(self.now_us, &wire::request(shipment, &self.authorization));
        self.arrived += 1;
        self.arrivals.arrived(self.now_us)?;
        hold(reply.status == 200, "429", || format!("{reply:?}"))?;
        let at_us = self.now_us + self.draw.below(self.plan.latency_us);
        self.later(at_us, Happening::Answers(name, attempt, Some(reply)));
        Ok(())
    }

    fn is_cut(&self, name: usize) -> bool {
        self.hosts[name].cut_until > self.now_us
    }

    /// The way to the store, or from there.
    fn travel(&mut self) -> u64 {
        let is_slow = self.slow_until > self.now_us;
        if is_slow { self.draw.range(50_000, 450_000) } else { self.draw.range(100, 1_000) }
    }

    fn renew(&mut self, name: usize, renewal: Box<Renewal>) {
        self.hosts[name].renewals += 1;
        let fails_at = self.now_us + PATIENCE_US;
        if self.is_cut(name) || !self.store.is_up() {
            let at_us = if self.draw.percent(50) { fails_at } else { self.now_us + 1_000 };
            return self.fail(name, at_us, false);
        }
        let is_late = self.draw.percent(self.plan.late_percent);
        let arrives_at = self.now_us + if is_late { self.draw.scale(1_000, 10_000_000) } else { self.travel() };
        let is_awaited = arrives_at < fails_at;
        if !is_awaited {
            self.fail(name, fails_at, true);
        }
        self.later(arrives_at, Happening::Executes(name, renewal, self.now_us, is_awaited));
    }

    fn fail(&mut self, name: usize, at_us: u64, may_have_run: bool) {
        let failure = Failure { kind: FailureKind::Unanswered, problem: "no answer".to_owned(), may_have_run };
        self.later(at_us, Happening::Hears(name, Event::RenewalFailed(failure)));
    }

    fn execute(&mut self, name: usize, renewal: &Renewal, sent_us: u64, is_awaited: bool) -> Checked {
        let fails_at = (sent_us + PATIENCE_US).max(self.now_us);
        if !self.store.is_up() || self.is_cut(name) {
            if is_awaited {
                self.fail(name, fails_at, true);
            }
            return Ok(());
        }
        let (mut grant, broadcasts) = self.store.execute(self.now_us, renewal);
        self.note(|| format!("  store -> {grant:?} {broadcasts:?}"));
        self.store.check(&self.plan.rates)?;
        self.tamper(&mut grant);
        let at_us = self.now_us + self.travel();
        let is_lost = at_us >= fails_at || self.draw.percent(self.plan.lost_percent);
        if is_awaited && is_lost {
            self.fail(name, fails_at, true);
        } else if is_awaited {
            self.later(at_us, Happening::Hears(name, Event::Granted(Box::new(grant))));
        }
        for one in broadcasts {
            self.push(&one);
        }
        Ok(())
    }

    fn tamper(&self, grant: &mut Grant) {
        match self.breach {
            Breach::NoRests => {
                let rests = grant.windows.iter_mut().flat_map(|window| &mut window.fresh);
                rests.for_each(|rest| rest.span = std::time::Duration::ZERO);
            }
            Breach::LongLeases => grant.lasts *= 5,
            Breach::None | Breach::NoLeaseAtDeparture | Breach::RunsHidden => {}
        }
    }

    fn push(&mut self, broadcasts: &Broadcast) {
        for name in 0..self.hosts.len() {
            let is_heard = self.hosts[name].is_alive && !self.is_cut(name);
            if is_heard && !self.draw.percent(self.plan.unpushed_percent) {
                let at_us = self.now_us + self.travel();
                self.later(at_us, Happening::Hears(name, Event::FleetBroadcast(broadcasts.clone())));
            }
        }
    }

    fn befall(&mut self, weather: Weather) -> Checked {
        *self.befell.entry(weather.word()).or_default() += 1;
        match weather {
            Weather::Killed(name) => self.hosts[name].is_alive = false,
            Weather::Joined => self.join(Traffic { conversations: 3, messages: 12, within_us: 2_000_000, burst: 4 }),
            Weather::Crowd(count) => {
                for _ in 0..count {
                    self.join(Traffic { conversations: 1, messages: 2, within_us: 1, burst: 2 });
                }
            }
            Weather::Frozen(name, span) => {
                let until = self.now_us + span;
                self.hosts[name].frozen_until = self.hosts[name].frozen_until.max(until);
                self.later(until, Happening::Thaws(name));
            }
            Weather::Down(span, fate) => {
                self.store.stop();
                self.later(self.now_us + span, Happening::Starts(fate));
            }
            Weather::Flushed => self.store.flush(),
            Weather::Jumped(by) => self.store.jump(by),
            Weather::Cut(name, span) => self.hosts[name].cut_until = self.now_us + span,
            Weather::Slow(span) => self.slow_until = self.now_us + span,
        }
        Ok(())
    }

    fn later(&mut self, at_us: u64, happening: Happening) {
        self.planned += 1;
        self.agenda.insert((at_us, self.planned), happening);
    }

    fn note(&mut self, words: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            let words: String = words().chars().take(700).collect();
            trace.push(format!("{:>13.3} ms  {words}", self.now_us as f64 / 1_000.0));
        }
    }
}

/// Which rule a run has broken, if any.
pub fn rule(plan: Plan, breach: Breach) -> Option<&'static str> {
    Sim::new(plan, breach).run().err().map(|Violation { rule, .. }| rule)
}
