//! Pauses and probes of a fleet: what one host is told by the server holds for all.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use spillway_core::clock::Timestamp;
use spillway_core::dispatcher::{AttemptId, Dispatcher, Effect, Event, TokenEvent};
use spillway_core::evidence::{Evidence, NamedLimit};
use spillway_core::lease::Broadcast;
use spillway_core::lease::book::{Book, Server};
use spillway_core::message::{Message, Parts, Payload, Settle, Submission, Ticket};
use spillway_core::outcome::Response;
use spillway_core::random::Random;
use spillway_core::retry::Answer;
use spillway_core::settings::{RedisUrl, Settings, Shared, WhenUnreachable};
use spillway_core::token::TokenId;

/// Hosts beside each other, whose store answers at once.
struct Fleet {
    hosts: Vec<Dispatcher>,
    book: Book,
    now: Timestamp,
    submitted: u64,
    /// Requests under way, by host.
    wire: BTreeMap<(usize, AttemptId), ()>,
    pushes: bool,
}

impl Fleet {
    fn new(count: u64) -> Self {
        let options = r#"{ "organization": "fleet", "apiUrl": "http://127.0.0.1:1", "route": "messaging", "store": "memory",
            "credentials": { "accessToken": "token" }, "rateLimit": { "requests": 20, "perMs": 1000 } }"#;
        let mut settings = Settings::from_json(options).unwrap();
        settings.shared =
            Some(Shared { url: RedisUrl::parse("redis://fleet").unwrap(), when_unreachable: WhenUnreachable::Hold });
        let settings = Arc::new(settings);
        let new = |seed| Dispatcher::new(Arc::clone(&settings), Random::from_seed(seed), Timestamp::START);
        let hosts = (0..count).map(new).collect();
        let wire = BTreeMap::new();
        let mut fleet = Self { hosts, book: Book::default(), now: Timestamp::START, submitted: 0, wire, pushes: true };
        for host in 0..fleet.hosts.len() {
            fleet.handle(host, Event::Token(TokenId::FIRST, TokenEvent::Granted(None)));
            fleet.submit(host);
        }
        // The store is new.
        fleet.run_ms(20_000, |_, _| Some(status(200)));
        fleet
    }

    fn submit(&mut self, host: usize) {
        self.submitted += 1;
        let id = format!("m{}", self.submitted);
        let parts = Parts { id: &id, id_given: true, conversation: &id, body: "{}", ..Parts::default() };
        self.handle(
            host,
            Event::Submit(Submission {
                ticket: Ticket { handle: 1, number: self.submitted },
                settle: Settle::OnOutcome,
                payload: Payload::Message(Message::new(parts).expect("a message")),
                priority: 0,
                expires_at: None,
                not_before: None,
            }),
        );
    }

    fn handle(&mut self, host: usize, event: Event) {
        let mut effects = Vec::new();
        self.hosts[host].handle(self.now, event, &mut effects);
        self.perform(host, effects);
    }

    fn perform(&mut self, host: usize, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Renew(renewal) => {
                    let server = Server { now: self.now.as_micros() + 1_000_000, run: 1 };
                    let (grant, broadcasts) = self.book.renew(server, &renewal);
                    self.handle(host, Event::Granted(Box::new(grant)));
                    let heard = if self.pushes { broadcasts } else { Vec::new() };
                    for one in heard {
                        (0..self.hosts.len()).for_each(|other| self.handle(other, Event::FleetBroadcast(one.clone())));
                    }
                }
                Effect::Send { attempt, .. } if self.hosts[host].may_leave_at(self.now, attempt) => {
                    self.handle(host, Event::Left(attempt));
                    self.wire.insert((host, attempt), ());
                }
                Effect::Send { attempt, .. } => self.handle(host, Event::Withheld(attempt)),
                _ => {}
            }
        }
    }

    /// Lets every host look at what it can do, until none can do more. Which requests leave.
    fn poll(&mut self) -> Vec<(usize, AttemptId)> {
        let before: Vec<_> = self.wire.keys().copied().collect();
        for _ in 0..4 {
            for host in 0..self.hosts.len() {
                let mut effects = Vec::new();
                self.hosts[host].poll(self.now, &mut effects);
                self.perform(host, effects);
            }
        }
        self.wire.keys().filter(|key| !before.contains(key)).copied().collect()
    }

    /// For so long; what leaves is answered at once, unless the answer is none. Who sent, and when.
    fn run_ms(
        &mut self,
        ms: u64,
        mut answer: impl FnMut(usize, AttemptId) -> Option<Answer>,
    ) -> Vec<(usize, Timestamp)> {
        let mut sent = Vec::new();
        for _ in 0..ms / 5 {
            for (host, attempt) in self.poll() {
                sent.push((host, self.now));
                if let Some(answer) = answer(host, attempt) {
                    self.wire.remove(&(host, attempt));
                    self.handle(host, Event::Answered(attempt, answer));
                }
            }
            self.now = self.now.after(Duration::from_millis(5));
        }
        sent
    }
}

fn status(status: u16) -> Answer {
    Answer::Answered { response: Response { status, ..Response::default() }, evidence: Evidence::default() }
}

/// The limit of the organization, for so long.
fn throttled(seconds: u64) -> Answer {
    let limit = NamedLimit { key: "client.credentials.token.rate.per.minute".into(), namespace: None, value: None };
    let evidence = Evidence {
        retry_after: Some(Duration::from_secs(seconds)),
        limit: Some(Box::new(limit)),
        ..Evidence::default()
    };
    Answer::Answered { response: Response { status: 429, ..Response::default() }, evidence }
}

/// One host is refused, for three seconds.
fn refused(fleet: &mut Fleet) -> Timestamp {
    fleet.submit(0);
    let [(0, attempt)] = fleet.poll()[..] else { panic!("one request leaves") };
    fleet.wire.remove(&(0, attempt));
    fleet.handle(0, Event::Answered(attempt, throttled(3)));
    fleet.poll();
    for host in 0..fleet.hosts.len() {
        for _ in 0..3 {
            fleet.submit(host);
        }
    }
    fleet.now
}

#[test]
fn a_429_at_one_host_stops_all_and_one_probes() {
    let mut fleet = Fleet::new(4);
    let at = refused(&mut fleet);
    let sent = fleet.run_ms(2_990, |_, _| Some(status(200)));
    assert!(sent.is_empty(), "nothing leaves in the pause: {sent:?}");
    // The probe is slow: nobody else sends one, for as long as it has the token.
    let sent = fleet.run_ms(900, |_, _| None);
    assert_eq!(sent.len(), 1, "one request probes: {sent:?}");
    assert!(sent[0].1.since(at) >= Duration::from_secs(3));
    let (host, attempt) = fleet.wire.pop_first().map(|(key, ())| key).unwrap();
    fleet.handle(host, Event::Answered(attempt, status(200)));
    let sent = fleet.run_ms(2_000, |_, _| Some(status(200)));
    assert_eq!(sent.len(), 12, "everything else follows, of every host");
}

#[test]
fn a_probe_that_is_refused_stops_all_again() {
    let mut fleet = Fleet::new(3);
    refused(&mut fleet);
    let mut answers = 0;
    let sent = fleet.run_ms(5_900, |_, _| {
        answers += 1;
        Some(throttled(3))
    });
    assert_eq!((sent.len(), answers), (1, 1), "three seconds, one probe, and three seconds: {sent:?}");
    let sent = fleet.run_ms(3_000, |_, _| Some(status(200)));
    assert_eq!(sent.len(), 10, "{sent:?}");
}

#[test]
fn hosts_that_miss_a_push_hear_of_a_pause_when_they_renew_their_lease() {
    let mut fleet = Fleet::new(2);
    fleet.pushes = false;
    fleet.submit(0);
    let [(0, attempt)] = fleet.poll()[..] else { panic!("one request leaves") };
    fleet.wire.remove(&(0, attempt));
    fleet.handle(0, Event::Answered(attempt, throttled(3)));
    fleet.poll();
    fleet.submit(1);
    let sent = fleet.run_ms(2_900, |_, _| Some(status(200)));
    assert!(sent.is_empty(), "it has no slot, and its first renewal brings the pause: {sent:?}");
    assert_eq!(fleet.run_ms(3_000, |_, _| Some(status(200))).len(), 2);
}

#[test]
fn the_pause_of_a_conversation_that_a_host_does_not_have_is_nothing_to_it() {
    use spillway_core::lease::{Pause, Scope};
    let mut fleet = Fleet::new(2);
    let pause = Pause {
        scope: Scope::Conversation("elsewhere".into()),
        number: 7,
        lasts: Duration::from_secs(60),
        prober: None,
    };
    fleet.handle(1, Event::FleetBroadcast(Broadcast::Paused(pause)));
    fleet.submit(1);
    assert_eq!(fleet.run_ms(100, |_, _| Some(status(200))).len(), 1);
    assert!(fleet.hosts[1].snapshot(fleet.now).pauses.is_empty());
}
