//! The task that carries renewals: one per process and Redis, for the engines of all organizations.
//!
//! What comes together goes together: renewals that are handed over within [`GATHERING`] share a pipeline, unless one
//! of them is waited for. Whatever goes wrong is told at once, and it is for the dispatcher to try again; the worker
//! only sees to it that there is a connection.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use redis::{RedisError, Value};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::connection::{Call, Connection, Opened, Push};
use super::failure::{self, Remedy};
use super::link::{Job, Link, MemberId, State, Target};
use super::members::{Delivery, Member, Order, retire};
use super::wire;
use crate::lease::{Failure, FailureKind, Renewal};
use crate::random::Random;
use crate::settings::{RedisUrl, Topology};

/// For so long a renewal that nobody waits for lets others join its pipeline.
const GATHERING: Duration = Duration::from_millis(50);
/// A key moves to at most so many nodes before its renewal fails.
const HOPS_MAX: u32 = 5;

/// What the worker's own tasks report.
enum Report {
    Opened(Target, u64, Opened),
    Answered(Target, u64, Vec<Job>, Result<Vec<Value>, RedisError>),
    Subscribed(Target, u64, Vec<MemberId>, Result<(), RedisError>),
    Pushed(Target, u64, Push),
    /// A wait is over.
    Open(Target),
    Gathered,
}

pub(super) struct Worker {
    url: Arc<RedisUrl>,
    inbox: UnboundedReceiver<Order>,
    reporter: UnboundedSender<Report>,
    reports: UnboundedReceiver<Report>,
    members: BTreeMap<MemberId, Member>,
    by_channel: HashMap<Vec<u8>, MemberId>,
    links: BTreeMap<Target, Link>,
    /// Whether a timer runs for renewals that gather.
    gathering: bool,
    /// Which of the URL's nodes is tried next.
    seed: usize,
    random: Random,
}

impl Worker {
    pub(super) fn new(url: RedisUrl, inbox: UnboundedReceiver<Order>) -> Self {
        let (reporter, reports) = unbounded_channel();
        Self {
            url: Arc::new(url),
            inbox,
            reporter,
            reports,
            members: BTreeMap::new(),
            by_channel: HashMap::new(),
            links: BTreeMap::new(),
            gathering: false,
            seed: 0,
            random: Random::from_entropy(),
        }
    }

    pub(super) async fn run(mut self) {
        // Its first member is in the inbox.
        while !self.members.is_empty() || !retire(&self.url, &self.inbox) {
            let mut urgent = false;
            tokio::select! {
                Some(order) = self.inbox.recv() => urgent |= self.take(order),
                Some(report) = self.reports.recv() => urgent |= self.hear(report),
            }
            // Engines that run in the same turn of this thread hand over theirs before it goes.
            tokio::task::yield_now().await;
            while let Ok(order) = self.inbox.try_recv() {
                urgent |= self.take(order);
            }
            while let Ok(report) = self.reports.try_recv() {
                urgent |= self.hear(report);
            }
            self.send(urgent);
        }
    }

    /// Whether somebody waits for what it is.
    fn take(&mut self, order: Order) -> bool {
        match order {
            Order::Join(id, member) => {
                self.by_channel.insert(wire::channel(&member.organization).into_bytes(), id);
                self.members.insert(id, member);
                self.use_link(&Target::Start);
                self.subscribe(&Target::Start, vec![id]);
                false
            }
            Order::Renew(id, renewal) => {
                let urgent = is_awaited(&renewal);
                let Some(member) = self.members.get(&id) else { return false };
                let (home, organization) = (member.home.clone(), Arc::clone(&member.organization));
                self.queue(home, Job { member: id, organization, renewal, hops: 0, asking: false });
                urgent
            }
            Order::Leave(id) => {
                self.leave(id);
                false
            }
        }
    }

    fn leave(&mut self, id: MemberId) {
        // What it has given back on its way out still goes.
        self.send(true);
        let Some(member) = self.members.remove(&id) else { return };
        let channel = wire::channel(&member.organization);
        // Its successor, which has joined meanwhile, may listen there already.
        if self.by_channel.get(channel.as_bytes()) != Some(&id) {
            return;
        }
        self.by_channel.remove(channel.as_bytes());
        if let Some(mut calls) = self.links.get(&member.home).and_then(Link::calls) {
            tokio::spawn(async move { drop(calls.unsubscribe(&channel).await) });
        }
    }

    /// Lets a renewal wait for the next pipeline to where it goes, or fails it where nothing goes.
    fn queue(&mut self, place: Target, job: Job) {
        self.use_link(&place);
        let Some(link) = self.links.get_mut(&place) else { return };
        if let State::Lost(failure) = &link.state {
            let failure = Failure { may_have_run: false, ..failure.clone() };
            return self.fail(&job, failure);
        }
        link.waiting.push(job);
    }

    /// Opens the link if nobody has needed it yet.
    fn use_link(&mut self, place: &Target) {
        if matches!(self.links.entry(place.clone()).or_default().state, State::Unused) {
            self.open(place);
        }
    }

    fn open(&mut self, place: &Target) {
        let Some(link) = self.links.get_mut(place) else { return };
        let generation = link.begin();
        let (url, place, seed, reporter) = (Arc::clone(&self.url), place.clone(), self.seed, self.reporter.clone());
        tokio::spawn(async move {
            let (origin, pushes) = (place.clone(), reporter.clone());
            let forward = move |push| drop(pushes.send(Report::Pushed(origin.clone(), generation, push)));
            let opened = match &place {
                Target::Start => Connection::open(&url, seed, forward).await,
                Target::Node(node) => Connection::open_node(&url, node, forward).await,
            };
            let _ = reporter.send(Report::Opened(place, generation, opened));
        });
    }

    /// Whether somebody waits for what now goes on.
    fn hear(&mut self, report: Report) -> bool {
        match report {
            Report::Opened(place, generation, opened) if self.is_current(&place, generation) => {
                self.opened(&place, opened);
                return true;
            }
            Report::Answered(place, generation, jobs, answers) => {
                let current = self.is_current(&place, generation);
                return self.answered(&place, current, jobs, answers);
            }
            Report::Subscribed(place, generation, members, outcome) if self.is_current(&place, generation) => {
                match outcome {
                    Ok(()) => {
                        let members = members.iter().filter_map(|id| self.members.get(id));
                        members.for_each(|member| member.deliver(Delivery::Connected));
                    }
                    Err(error) => self.lose(&place, failure::of_connection(&error, false)),
                }
            }
            Report::Pushed(place, generation, Push::Closed) if self.is_current(&place, generation) => {
                let kind = FailureKind::Unreachable;
                let problem = "the connection to Redis was closed".to_owned();
                self.lose(&place, Failure { kind, problem, may_have_run: false });
            }
            Report::Pushed(_, _, Push::Message { channel, payload }) => self.pushed(&channel, &payload),
            Report::Open(place) if self.links.get(&place).is_some_and(|link| matches!(link.state, State::Lost(_))) => {
                self.open(&place);
            }
            Report::Gathered => {
                self.gathering = false;
                return true;
            }
            // Of a connection that is over.
            Report::Opened(..) | Report::Subscribed(..) | Report::Pushed(..) | Report::Open(_) => {}
        }
        false
    }

    fn is_current(&self, place: &Target, generation: u64) -> bool {
        self.links.get(place).is_some_and(|link| link.generation == generation)
    }

    fn opened(&mut self, place: &Target, opened: Opened) {
        match opened {
            Ok(connection) => {
                let Some(link) = self.links.get_mut(place) else { return };
                link.opened(connection);
                let home = self.members.iter().filter(|(_, member)| member.home == *place).map(|(id, _)| *id);
                self.subscribe(place, home.collect());
            }
            Err(error) => self.lose(place, failure::of_connection(&error, false)),
        }
    }

    /// Lets the members hear what is published to them, if there is a connection; else they will when there is.
    fn subscribe(&mut self, place: &Target, members: Vec<MemberId>) {
        let Some(link) = self.links.get(place) else { return };
        let Some(mut calls) = link.calls() else { return };
        let channel = |id: &MemberId| Some(wire::channel(&self.members.get(id)?.organization));
        let channels: Vec<String> = members.iter().filter_map(channel).collect();
        let (place, generation, reporter) = (place.clone(), link.generation, self.reporter.clone());
        tokio::spawn(async move {
            let outcome = calls.subscribe(&channels).await;
            let _ = reporter.send(Report::Subscribed(place, generation, members, outcome));
        });
    }

    fn pushed(&self, channel: &[u8], payload: &[u8]) {
        let member = self.by_channel.get(channel).and_then(|id| self.members.get(id));
        // A newer version may publish what this one doesn't know; the next grant has it.
        if let (Some(member), Some(broadcasts)) = (member, wire::broadcasts(payload)) {
            member.deliver(Delivery::Broadcast(broadcasts));
        }
    }

    /// The connection is over: who waits for it hears so, and another is made.
    fn lose(&mut self, place: &Target, failure: Failure) {
        let Some(link) = self.links.get_mut(place) else { return };
        let jobs = link.lost(failure.clone());
        let wait = link.wait();
        for job in jobs {
            self.fail(&job, Failure { may_have_run: false, ..failure.clone() });
        }
        if self.url.topology == Topology::Cluster {
            self.seed = self.seed.wrapping_add(1);
        }
        if *place != Target::Start {
            // Its keys may be elsewhere by now: any node knows where.
            self.links.remove(place);
            self.members.values_mut().filter(|member| member.home == *place).for_each(|member| {
                member.home = Target::Start;
            });
            self.use_link(&Target::Start);
            return;
        }
        let wait = self.random.between(wait / 2, wait);
        let (place, reporter) = (place.clone(), self.reporter.clone());
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            let _ = reporter.send(Report::Open(place));
        });
    }

    fn fail(&self, job: &Job, failure: Failure) {
        if let Some(member) = self.members.get(&job.member) {
            member.deliver(Delivery::Failed(failure));
        }
    }

    /// Sends what waits for an open connection; what nobody waits for only after it has gathered.
    fn send(&mut self, urgent: bool) {
        if !urgent {
            if !self.gathering && self.links.values().any(|link| !link.waiting.is_empty()) {
                self.gathering = true;
                let reporter = self.reporter.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(GATHERING).await;
                    let _ = reporter.send(Report::Gathered);
                });
            }
            return;
        }
        for (place, link) in &mut self.links {
            let Some(mut calls) = link.calls().filter(|_| !link.waiting.is_empty()) else { continue };
            let jobs = std::mem::take(&mut link.waiting);
            let call = |job: &Job| Call {
                key: wire::key(&job.organization),
                arguments: wire::arguments(&job.organization, &job.renewal),
                asking: job.asking,
            };
            let list: Vec<Call> = jobs.iter().map(call).collect();
            let (place, generation, reporter) = (place.clone(), link.generation, self.reporter.clone());
            tokio::spawn(async move {
                let answers = calls.run(&list).await;
                let _ = reporter.send(Report::Answered(place, generation, jobs, answers));
            });
        }
    }

    /// Whether a renewal goes on to another node.
    fn answered(
        &mut self,
        place: &Target,
        current: bool,
        jobs: Vec<Job>,
        answers: Result<Vec<Value>, RedisError>,
    ) -> bool {
        let answers = match answers {
            Ok(answers) => answers,
            Err(error) => {
                let failure = failure::of_connection(&error, true);
                jobs.iter().for_each(|job| self.fail(job, failure.clone()));
                if current {
                    self.lose(place, failure);
                }
                return false;
            }
        };
        debug_assert_eq!(jobs.len(), answers.len(), "an answer for each call");
        let (mut goes_on, mut lost) = (false, None);
        for (job, answer) in jobs.into_iter().zip(answers) {
            let Value::ServerError(error) = answer else {
                self.granted(&job, answer);
                continue;
            };
            let (failure, remedy) = failure::refusal(&error);
            match remedy {
                Remedy::Elsewhere { node, asking } if job.hops < HOPS_MAX => {
                    goes_on = true;
                    self.redirect(Target::Node(node), Job { hops: job.hops + 1, asking, ..job });
                }
                Remedy::Elsewhere { .. } | Remedy::Wait => self.fail(&job, failure),
                Remedy::Reconnect => {
                    self.fail(&job, failure.clone());
                    lost = Some(failure);
                }
            }
        }
        if let Some(failure) = lost.filter(|_| current) {
            self.lose(place, failure);
        }
        goes_on
    }

    /// The key is there, or on its way there.
    fn redirect(&mut self, place: Target, job: Job) {
        self.use_link(&place);
        if let Some(member) = self.members.get_mut(&job.member).filter(|_| !job.asking) {
            member.home = place.clone();
            self.subscribe(&place, vec![job.member]);
        }
        self.queue(place, job);
    }

    fn granted(&self, job: &Job, answer: Value) {
        let Some(member) = self.members.get(&job.member) else { return };
        member.deliver(match wire::grant(answer) {
            Some(grant) => Delivery::Granted(Box::new(grant)),
            None => {
                let problem = "the script answered what makes no sense".to_owned();
                Delivery::Failed(Failure { kind: FailureKind::Broken, problem, may_have_run: true })
            }
        });
    }
}

/// Whether a message waits for the answer, or others are to hear of it at once.
fn is_awaited(renewal: &Renewal) -> bool {
    let is_out = renewal.windows.iter().any(|window| window.held == 0 && window.need > 0);
    renewal.seen.is_none() || is_out || !renewal.pauses.is_empty() || !renewal.probes.is_empty()
}
