//! The script's rules are those of `lease::book`: the same random histories go through both, and every answer
//! and everything that is published is compared.

use std::io::Write;
use std::num::NonZeroU32;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, PushInfo, PushKind, Value, cmd};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use spillway_core::fleet::{script, wire};
use spillway_core::lease::book::{Book, Server};
use spillway_core::lease::{Broadcast, Grant, Host, LEASE_MAX, PauseReport, Renewal, Rest, Scope, Seen, WindowReport};

use crate::server;

const HISTORIES: u64 = 60;
const STEPS: u64 = 250;
const ORGANIZATION: &str = "a {history} of 'ünïcode'\n";

/// The script with the clock and the run of the test in place of the server's.
fn on_the_clock_of_the_test() -> String {
    let mut source = script::SOURCE.to_owned();
    for (servers, tests) in [
        ("redis.call('TIME')", "{ ARGV[#ARGV - 2], ARGV[#ARGV - 1] }"),
        ("redis.call('INFO', 'server')", "'run_id:' .. ARGV[#ARGV]"),
        ("redis.call('INFO', 'replication')", "'master_replid:' .. ARGV[#ARGV]"),
    ] {
        assert_eq!(source.matches(servers).count(), 1, "{servers} is asked once");
        source = source.replace(servers, tests);
    }
    source
}

struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }

    fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }

    fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[usize::try_from(self.below(list.len() as u64)).unwrap()]
    }

    fn small(&mut self, most: u64) -> u32 {
        u32::try_from(self.below(most)).unwrap()
    }

    fn span(&mut self, most_ms: u64) -> Duration {
        Duration::from_micros(self.below(most_ms * 1_000 + 1))
    }
}

/// A host that behaves, mostly.
struct Model {
    host: Host,
    number: u64,
    granted: Option<(Grant, u64)>,
    last: Option<Renewal>,
    /// The windows that are configured there: length in ms, requests.
    windows: Vec<(u64, u64)>,
}

impl Model {
    fn new(dice: &mut Dice, lengths: &[u64], host: u64) -> Self {
        // Hosts may be configured with different quotas, and with different windows.
        let least = if dice.one_in(4) { lengths.len() - 1 } else { 0 };
        let windows =
            lengths[least..].iter().map(|per| (*per, if dice.one_in(3) { 1 + dice.below(12) } else { 10 })).collect();
        Self { host: Host(host), number: 0, granted: None, last: None, windows }
    }

    fn renewal(&mut self, dice: &mut Dice, now: u64) -> Renewal {
        if let Some(last) = self.last.clone().filter(|_| dice.one_in(6)) {
            return last;
        }
        self.number = if dice.one_in(40) { dice.below(self.number + 3) } else { self.number + 1 };
        let seen = self.granted.as_ref().filter(|_| !dice.one_in(15)).map(|(grant, at)| Seen {
            epoch: grant.epoch,
            version: grant.version + if dice.one_in(60) { 3 } else { 0 },
            lease: grant.lease,
            clock: grant.clock + Duration::from_secs(if dice.one_in(60) { 3 } else { 0 }),
            since: Duration::from_micros(if dice.one_in(20) { dice.below(5_000_000) } else { now.saturating_sub(*at) }),
            is_live: !dice.one_in(8),
        });
        let windows = self.windows.iter().map(|(per, requests)| self.window(dice, *per, *requests)).collect();
        let scopes = [
            Scope::Organization,
            Scope::Route("POST /x/{conversationId}".into()),
            Scope::Conversation("c".into()),
            Scope::Conversation("Z\nwith a line feed".into()),
        ];
        let pauses = (0..dice.below(8).saturating_sub(5)).map(|_| {
            let scope = dice.pick(&scopes).clone();
            match dice.below(3) {
                0 => PauseReport::Paused(scope, dice.span(9_000)),
                1 => PauseReport::Resumed(scope, dice.below(20)),
                _ => PauseReport::Unprobed(scope),
            }
        });
        let mut pauses: Vec<PauseReport> = pauses.collect();
        if dice.one_in(150) {
            // More than are kept.
            let many = (0..300).map(|name| Scope::Conversation(format!("many {name}").into()));
            pauses.extend(many.map(|scope| PauseReport::Paused(scope, dice.span(20_000))));
        }
        let probes = (0..dice.below(6).saturating_sub(3)).map(|_| dice.pick(&scopes).clone()).collect();
        let renewal = Renewal {
            host: self.host,
            number: self.number,
            seen,
            weight: dice.small(20),
            lasts: Duration::from_millis(3_000 + dice.below(2) * 15_000),
            sent: if dice.one_in(30) { u32::MAX } else { dice.small(12) },
            windows,
            pauses,
            probes,
            draw: 1 + dice.below(1 << 30),
        };
        self.last = Some(renewal.clone());
        renewal
    }

    fn window(&self, dice: &mut Dice, per_ms: u64, requests: u64) -> WindowReport {
        let per = Duration::from_millis(per_ms);
        let granted =
            self.granted.as_ref().and_then(|(grant, _)| grant.windows.iter().find(|window| window.per == per));
        let (held, target) = granted.map_or((0, 0), |window| (window.share, window.target));
        let held = if dice.one_in(12) { dice.small(15) } else { held };
        let back = match dice.below(5) {
            0 => dice.small(u64::from(held) + 3),
            1 => held,
            _ => held.saturating_sub(target),
        };
        let halves = [back / 2, back - back / 2];
        let rest = |slots: &u32| (*slots > 0).then(|| (*slots, dice.span(per_ms * 2)));
        let mut back: Vec<Rest> = halves.iter().filter_map(rest).map(|(slots, span)| Rest { span, slots }).collect();
        back.sort_by_key(|rest| rest.span);
        let need = if dice.one_in(3) { 0 } else { dice.small(requests * 2) };
        WindowReport { per, requests: NonZeroU32::new(u32::try_from(requests).unwrap()).unwrap(), held, need, back }
    }
}

struct Real {
    redis: MultiplexedConnection,
    pushes: UnboundedReceiver<PushInfo>,
    source: String,
}

impl Real {
    async fn connect(port: u16) -> Self {
        let client = redis::Client::open(format!("redis://127.0.0.1:{port}/?protocol=resp3")).unwrap();
        let (sender, pushes) = unbounded_channel();
        let config =
            AsyncConnectionConfig::new().set_push_sender(sender).set_response_timeout(Some(Duration::from_secs(20)));
        let mut redis = client.get_multiplexed_async_connection_with_config(&config).await.unwrap();
        redis.subscribe(wire::channel(ORGANIZATION)).await.unwrap();
        Self { redis, pushes, source: on_the_clock_of_the_test() }
    }

    async fn renew(&mut self, server: Server, renewal: &Renewal) -> (Option<Grant>, Vec<Broadcast>) {
        let mut call = cmd("EVAL");
        call.arg(&self.source).arg(1).arg(wire::key(ORGANIZATION)).arg(wire::arguments(ORGANIZATION, renewal));
        call.arg(server.now / 1_000_000).arg(server.now % 1_000_000).arg(server.run);
        let answer: Value = call.query_async(&mut self.redis).await.unwrap();
        let mut broadcasts = Vec::new();
        // On one connection, what a script publishes is there before its answer.
        while let Ok(push) = self.pushes.try_recv() {
            if push.kind == PushKind::Message {
                let [_, Value::BulkString(payload)] = &push.data[..] else { panic!("{push:?}") };
                broadcasts.push(wire::broadcasts(payload).unwrap());
            }
        }
        (wire::grant(answer), broadcasts)
    }

    async fn copy(&mut self, from: &str, to: &str) {
        cmd("COPY").arg(from).arg(to).arg("REPLACE").exec_async(&mut self.redis).await.unwrap();
    }
}

async fn history(real: &mut Real, seed: u64) {
    let key = wire::key(ORGANIZATION);
    let snapshot_key = format!("{key}:snapshot");
    cmd("DEL").arg(&key).exec_async(&mut real.redis).await.unwrap();
    let mut dice = Dice(seed);
    let lengths: &[u64] = dice.pick::<&[u64]>(&[&[1_000][..], &[60_000], &[1_000, 60_000]]);
    let mut book = Book::default();
    let mut snapshot: Option<Book> = None;
    let mut hosts: Vec<Model> =
        (0..1 + dice.below(5)).map(|host| Model::new(&mut dice, lengths, (host + 1) * 0x1234_5678_9abc)).collect();
    let mut server = Server { now: 1_700_000_000_000_000 + dice.below(1_000_000), run: 1 };
    for step in 0..STEPS {
        server.now += match dice.below(40) {
            0 => 20_000_000,
            1 => 90_000_000,
            2 => 0,
            _ => dice.below(1_500_000),
        };
        match dice.below(150) {
            0 => server.now -= 600_000_000,
            1 => server.run += 1,
            2 => {
                book = Book::default();
                cmd("DEL").arg(&key).exec_async(&mut real.redis).await.unwrap();
            }
            3 if book.age().is_some() => {
                snapshot = Some(book.clone());
                real.copy(&key, &snapshot_key).await;
            }
            4 => {
                if let Some(older) = &snapshot {
                    book = older.clone();
                    real.copy(&snapshot_key, &key).await;
                }
            }
            5 => {
                let host = dice.below(1 << 40);
                hosts.push(Model::new(&mut dice, lengths, host));
            }
            _ => {}
        }
        let at = usize::try_from(dice.below(hosts.len() as u64)).unwrap();
        let renewal = hosts[at].renewal(&mut dice, server.now);
        let (expected, expected_news) = book.renew(server, &renewal);
        let (grant, broadcasts) = real.renew(server, &renewal).await;
        assert_eq!(grant.as_ref(), Some(&expected), "history {seed}, step {step}, {server:?}: {renewal:?}");
        assert_eq!(broadcasts, expected_news, "history {seed}, step {step}, {server:?}: {renewal:?}");
        assert!(expected.lasts <= LEASE_MAX);
        // An answer may be lost.
        if !dice.one_in(10) {
            hosts[at].granted = Some((expected, server.now));
        }
    }
}

/// Of another version nothing is known but what its memory is called, and that it had these windows.
async fn another_version_is_forgotten(real: &mut Real) {
    let key = wire::key(ORGANIZATION);
    cmd("DEL").arg(&key).exec_async(&mut real.redis).await.unwrap();
    for (field, value) in [
        ("m", "c0ffee 00000000000000ab 70 1 2 3"),
        ("p:5000000", "2 1 2"),
        ("h:00000000000001", "1 2"),
        ("s:o", "what it likes"),
        ("x", ""),
    ] {
        cmd("HSET").arg(&key).arg(field).arg(value).exec_async(&mut real.redis).await.unwrap();
    }
    let mut dice = Dice(1);
    let renewal = Renewal { seen: None, number: 1, ..Model::new(&mut dice, &[1_000], 7).renewal(&mut dice, 0) };
    let server = Server { now: 1_700_000_000_000_000, run: 1 };
    let (grant, _) = real.renew(server, &renewal).await;
    let grant = grant.unwrap();
    assert_eq!((grant.version, grant.hosts, grant.windows[0].share), (71, 1, 0));
    assert_eq!(grant.forgetting, Some(Duration::from_micros(6_000_000 + 1_000_000 + 5_000_000 + 250)));
    let mut fields: Vec<String> = cmd("HKEYS").arg(&key).query_async(&mut real.redis).await.unwrap();
    fields.retain(|field| !field.starts_with("s:"));
    fields.sort();
    assert_eq!(fields, [&format!("h:{}", renewal.host), "m", "p:1000000", "p:5000000"]);
}

async fn conforms(server: &server::Server) {
    let mut real = Real::connect(server.port).await;
    another_version_is_forgotten(&mut real).await;
    for seed in 1..=HISTORIES {
        history(&mut real, seed).await;
    }
}

#[tokio::test]
async fn the_script_does_what_the_book_does_on_redis() {
    conforms(&server::Server::redis()).await;
}

#[tokio::test]
async fn the_script_does_what_the_book_does_on_valkey() {
    match server::Server::valkey() {
        Some(server) => conforms(&server).await,
        // Not by a macro, which is silent where a test passes.
        None => std::io::stderr()
            .write_all(b"not run on Valkey: there is no valkey-server on the PATH or in Debian's packages\n")
            .unwrap(),
    }
}
