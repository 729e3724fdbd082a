//! The worker and a real Redis to which things happen.

use std::num::NonZeroU32;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use spillway_core::fleet::{Delivery, Membership, join};
use spillway_core::lease::{Broadcast, Failure, FailureKind, Grant, Host, PauseReport, Renewal, Scope, WindowReport};
use spillway_core::settings::RedisUrl;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

use crate::server::Server;

/// Nothing that is awaited takes as long.
const PATIENCE: Duration = Duration::from_secs(20);

/// A host of the fleet.
struct Member {
    membership: Membership,
    deliveries: UnboundedReceiver<Delivery>,
    number: u64,
    host: u64,
}

impl Member {
    fn join(url: &str, organization: &str, host: u64) -> Self {
        let (sender, deliveries) = unbounded_channel();
        let membership = join(&RedisUrl::parse(url).unwrap(), organization, sender);
        Self { membership, deliveries, number: 0, host }
    }

    /// Its worker hears what is published. A renewal may go before.
    async fn connected(self) -> Self {
        let mut this = self;
        this.connection().await;
        this
    }

    fn send(&mut self, pauses: Vec<PauseReport>) {
        self.number += 1;
        let window = WindowReport {
            per: Duration::from_secs(1),
            requests: NonZeroU32::new(10).unwrap(),
            held: 0,
            need: 5,
            back: Vec::new(),
        };
        self.membership.renew(Box::new(Renewal {
            host: Host(self.host),
            number: self.number,
            seen: None,
            weight: 1,
            lasts: Duration::from_secs(3),
            sent: 0,
            windows: vec![window],
            pauses,
            probes: Vec::new(),
            draw: self.host + self.number,
        }));
    }

    async fn next(&mut self) -> Delivery {
        timeout(PATIENCE, self.deliveries.recv()).await.expect("something is delivered").expect("its worker lives")
    }

    async fn answer(&mut self) -> Result<Grant, Failure> {
        loop {
            match self.next().await {
                Delivery::Granted(grant) => return Ok(*grant),
                Delivery::Failed(failure) => return Err(failure),
                Delivery::Broadcast(_) | Delivery::Connected => {}
            }
        }
    }

    /// What has failed meanwhile is of the time before.
    async fn connection(&mut self) {
        while !matches!(self.next().await, Delivery::Connected) {}
    }

    async fn broadcasts(&mut self, wanted: &Broadcast) {
        loop {
            match self.next().await {
                Delivery::Broadcast(broadcasts) if broadcasts == *wanted => return,
                Delivery::Broadcast(_) | Delivery::Connected => {}
                other => panic!("{other:?} is no broadcasts"),
            }
        }
    }

    async fn granted(&mut self) -> Grant {
        self.send(Vec::new());
        let number = self.number;
        let grant = self.answer().await.expect("it is granted");
        assert_eq!(grant.number, number);
        grant
    }

    async fn refused(&mut self, kind: FailureKind) -> Failure {
        self.send(Vec::new());
        let failure = self.answer().await.expect_err("it is refused");
        assert_eq!(failure.kind, kind, "{}", failure.problem);
        failure
    }

    /// Renews until the answer is a grant: what has failed meanwhile is of the time before.
    async fn granted_at_last(&mut self) -> Grant {
        loop {
            self.send(Vec::new());
            match self.answer().await {
                Ok(grant) => return grant,
                // The worker says when there is something to say.
                Err(_) => self.connection().await,
            }
        }
    }
}

async fn admin(server: &Server) -> MultiplexedConnection {
    let client = redis::Client::open(format!("redis://127.0.0.1:{}", server.port)).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

async fn tell(admin: &mut MultiplexedConnection, command: &str) {
    let mut words = command.split(' ');
    let mut told = redis::cmd(words.next().unwrap());
    for word in words {
        told.arg(word);
    }
    told.exec_async(admin).await.unwrap();
}

#[tokio::test]
async fn organizations_share_a_worker_and_not_a_budget() {
    let server = Server::redis();
    let mut one = Member::join(&server.url(), "one", 1);
    let mut other = Member::join(&server.url(), "the {other}", 2);
    let (first, second) = (one.granted().await, other.granted().await);
    assert_eq!((first.hosts, second.hosts), (1, 1));
    assert_eq!(one.granted().await.version, first.version + 1);
    assert_eq!(other.granted().await.version, second.version + 1);
}

#[tokio::test]
async fn what_a_host_reports_is_pushed_to_the_others() {
    let server = Server::redis();
    // By another name it is another worker, as in another process.
    let mut one = Member::join(&server.url(), "acme", 1).connected().await;
    let mut other = Member::join(&format!("redis://localhost:{}", server.port), "acme", 2).connected().await;
    one.send(vec![PauseReport::Paused(Scope::Route("POST /a\nb".into()), Duration::from_secs(7))]);
    let pause = loop {
        if let Delivery::Broadcast(Broadcast::Paused(pause)) = other.next().await {
            break pause;
        }
    };
    assert_eq!(
        (pause.scope, pause.lasts, pause.number),
        (Scope::Route("POST /a\nb".into()), Duration::from_secs(7), 1)
    );
    let grant = one.answer().await.unwrap();
    assert_eq!(grant.pauses.len(), 1);
    one.send(vec![PauseReport::Resumed(Scope::Route("POST /a\nb".into()), 1)]);
    other.broadcasts(&Broadcast::Resumed(Scope::Route("POST /a\nb".into()), 1)).await;
}

#[tokio::test]
async fn a_script_that_the_server_has_forgotten_is_loaded_again() {
    let server = Server::redis();
    let mut member = Member::join(&server.url(), "acme", 1);
    let version = member.granted().await.version;
    tell(&mut admin(&server).await, "SCRIPT FLUSH").await;
    assert_eq!(member.granted().await.version, version + 1);
}

#[tokio::test]
async fn a_server_that_was_gone_is_found_again_and_has_forgotten() {
    let mut server = Server::redis();
    let mut member = Member::join(&server.url(), "acme", 1).connected().await;
    let epoch = member.granted().await.epoch;
    server.kill();
    let failure = loop {
        // Until the end of the connection is noticed, a renewal may be on it.
        member.send(Vec::new());
        if let Err(failure) = member.answer().await {
            break failure;
        }
    };
    assert!(matches!(failure.kind, FailureKind::Unreachable | FailureKind::Unanswered), "{failure:?}");
    server.restart();
    let grant = member.granted_at_last().await;
    assert!(grant.epoch != epoch && grant.forgetting.is_some(), "{grant:?}");
}

#[tokio::test]
async fn a_password_that_was_changed_is_a_denial_until_it_is_right_again() {
    let server = Server::redis();
    let mut admin = admin(&server).await;
    tell(&mut admin, "CONFIG SET requirepass first").await;
    let url = format!("redis://:first@127.0.0.1:{}", server.port);
    let mut member = Member::join(&url, "acme", 1).connected().await;
    member.granted().await;
    tell(&mut admin, "CONFIG SET requirepass second").await;
    tell(&mut admin, "CLIENT KILL TYPE pubsub").await;
    let failure = loop {
        member.send(Vec::new());
        match member.answer().await {
            Err(failure) if failure.kind == FailureKind::Denied => break failure,
            _ => {}
        }
    };
    assert!(failure.problem.contains("user or password") && !failure.problem.contains("first"), "{}", failure.problem);
    tell(&mut admin, "CONFIG SET requirepass first").await;
    member.granted_at_last().await;
}

#[tokio::test]
async fn a_primary_that_has_become_a_replica_is_left_until_there_is_a_primary() {
    let (server, primary) = (Server::redis(), Server::redis());
    let mut admin = admin(&server).await;
    let mut member = Member::join(&server.url(), "acme", 1).connected().await;
    member.granted().await;
    tell(&mut admin, &format!("REPLICAOF 127.0.0.1 {}", primary.port)).await;
    let failure = member.refused(FailureKind::ReadOnly).await;
    assert!(!failure.may_have_run, "{failure:?}");
    tell(&mut admin, "REPLICAOF NO ONE").await;
    member.granted_at_last().await;
}

#[tokio::test]
async fn a_full_memory_refuses_renewals_and_keeps_the_connection() {
    let server = Server::redis();
    let mut admin = admin(&server).await;
    let mut member = Member::join(&server.url(), "acme", 1).connected().await;
    tell(&mut admin, "CONFIG SET maxmemory 1").await;
    let failure = member.refused(FailureKind::Full).await;
    assert!(failure.problem.contains("OOM") && !failure.may_have_run, "{failure:?}");
    tell(&mut admin, "CONFIG SET maxmemory 0").await;
    member.granted().await;
}

/// What docs/fleet.md tells operators to allow.
const ACL: &str = "ACL SETUSER spillway on >secret resetkeys ~spillway:* resetchannels &spillway:* -@all +evalsha \
    +script|load +subscribe +unsubscribe +publish +hgetall +hset +hdel +time +info";

#[tokio::test]
async fn the_documented_permissions_are_enough_and_fewer_are_a_denial() {
    let server = Server::redis();
    let mut admin = admin(&server).await;
    tell(&mut admin, ACL).await;
    let url = format!("redis://spillway:secret@127.0.0.1:{}", server.port);
    let mut member = Member::join(&url, "acme", 1).connected().await;
    member.granted().await;
    tell(&mut admin, "ACL SETUSER spillway -evalsha").await;
    let failure = member.refused(FailureKind::Denied).await;
    assert!(failure.problem.contains("NOPERM") && failure.problem.contains("docs/fleet.md"), "{failure:?}");
    let documented = include_str!("../../../../docs/fleet.md");
    assert!(documented.contains(ACL), "docs/fleet.md names the same permissions");
}

#[tokio::test]
async fn what_is_given_back_on_the_way_out_still_arrives() {
    let server = Server::redis();
    let mut stays = Member::join(&server.url(), "stays", 1).connected().await;
    let mut leaves = Member::join(&server.url(), "acme", 2);
    leaves.granted().await;
    leaves.send(Vec::new());
    drop(leaves);
    // The same connection: what was sent before has been answered before.
    stays.granted().await;
    let mut next = Member::join(&server.url(), "acme", 3);
    assert_eq!(next.granted().await.version, 3, "both renewals of the one that has left are executed");
}

#[tokio::test]
async fn a_key_is_followed_through_a_cluster() {
    let (one, other) = (Server::cluster_node(), Server::cluster_node());
    let (mut first, mut second) = (admin(&one).await, admin(&other).await);
    tell(&mut first, "CLUSTER ADDSLOTSRANGE 0 8191").await;
    tell(&mut second, "CLUSTER ADDSLOTSRANGE 8192 16383").await;
    tell(&mut first, &format!("CLUSTER MEET 127.0.0.1 {}", other.port)).await;
    for admin in [&mut first, &mut second] {
        loop {
            let info: String = redis::cmd("CLUSTER").arg("INFO").query_async(admin).await.unwrap();
            if info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:2") {
                break;
            }
        }
    }
    let seeds = [format!("redis+cluster://127.0.0.1:{},127.0.0.1:{}", one.port, other.port), one.url(), other.url()];
    for (at, url) in seeds.iter().enumerate() {
        // Each of these names is in another half.
        for organization in ["acme", "globex", "initech", "umbrella"] {
            let mut member = Member::join(url, organization, 1 + at as u64).connected().await;
            let version = member.granted().await.version;
            assert_eq!(member.granted().await.version, version + 1);
        }
    }
    let mut slots = Vec::new();
    for organization in ["acme", "globex", "initech", "umbrella"] {
        let slot: u32 = redis::cmd("CLUSTER").arg("KEYSLOT").arg(organization).query_async(&mut first).await.unwrap();
        slots.push(slot < 8_192);
    }
    assert!(slots.contains(&true) && slots.contains(&false), "both nodes have had keys: {slots:?}");
}
