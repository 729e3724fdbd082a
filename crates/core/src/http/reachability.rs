//! Whether a host can be reached, for all organizations of the process that send to it: a thousand of them check a host
//! that is down as often as one does.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use super::Client;
use crate::clock::{Clock, Timestamp};
use crate::lock::lock;

/// For so long nobody else checks a host that was checked: each asks at a time of its own, once in a second or two, so
/// that not all of them send at the moment in which one finds it reachable.
const KNOWN_FOR: Duration = Duration::from_secs(1);
/// Hosts that are remembered before those are forgotten of which nothing is known any more.
const HOSTS_KEPT: usize = 64;

static HOSTS: LazyLock<Hosts> = LazyLock::new(Hosts::default);
static CLOCK: LazyLock<Clock> = LazyLock::new(Clock::start);

#[derive(Clone, Copy, Debug)]
enum Last {
    /// Somebody is checking it.
    Checking,
    Checked {
        at: Timestamp,
        is_reachable: bool,
    },
}

#[derive(Debug, Default)]
struct Hosts(Mutex<HashMap<String, Last>>);

/// A check that is this organization's to make. Dropped without an end it is nobody's.
struct Check<'a> {
    hosts: &'a Hosts,
    host: String,
}

impl Hosts {
    /// The check of a host, or what another one has just found. While another is under way nothing is known.
    fn begin(&self, host: &str, now: Timestamp) -> Result<Check<'_>, bool> {
        let mut hosts = lock(&self.0);
        match hosts.get(host) {
            Some(Last::Checking) => return Err(false),
            Some(Last::Checked { at, is_reachable }) if now.since(*at) < KNOWN_FOR => return Err(*is_reachable),
            Some(Last::Checked { .. }) | None => {}
        }
        if hosts.len() >= HOSTS_KEPT {
            hosts.retain(|_, last| !matches!(last, Last::Checked { at, .. } if now.since(*at) >= KNOWN_FOR));
        }
        hosts.insert(host.to_owned(), Last::Checking);
        Ok(Check { hosts: self, host: host.to_owned() })
    }
}

impl Check<'_> {
    fn end(self, now: Timestamp, is_reachable: bool) -> bool {
        if let Some(last) = lock(&self.hosts.0).get_mut(&self.host) {
            *last = Last::Checked { at: now, is_reachable };
        }
        is_reachable
    }
}

impl Drop for Check<'_> {
    fn drop(&mut self) {
        let mut hosts = lock(&self.hosts.0);
        if let Some(Last::Checking) = hosts.get(&self.host) {
            hosts.remove(&self.host);
        }
    }
}

impl Client {
    /// Whether a connection can be made: names, TCP, a proxy's tunnel, TLS, and no request. The next request takes the
    /// connection. A proxy for plain HTTP can always be reached, and tells nothing.
    pub async fn is_reachable(&self) -> bool {
        if self.clients.by_proxy() {
            return false;
        }
        match HOSTS.begin(&self.origin.url().origin().ascii_serialization(), CLOCK.now()) {
            Ok(check) => {
                let is_reachable = self.connect().await.is_ok();
                check.end(CLOCK.now(), is_reachable)
            }
            Err(known) => known,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says what it expects by unwrapping it")]
    use std::io::Read;
    use std::net::TcpListener;
    use std::sync::Arc;

    use super::*;
    use crate::settings::Settings;

    fn client(port: u16) -> Client {
        let options = format!(
            r#"{{
                "organization": "reachable", "apiUrl": "http://127.0.0.1:{port}",
                "credentials": {{ "accessToken": "token" }}, "route": "messaging", "store": "memory",
                "rateLimit": {{ "requests": 1, "perMs": 1000 }}
            }}"#
        );
        Client::new(Arc::new(Settings::from_json(&options).unwrap())).unwrap()
    }

    #[tokio::test]
    async fn a_check_makes_a_connection_for_the_next_request_and_sends_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = client(listener.local_addr().unwrap().port());
        assert!(client.is_reachable().await);
        let taken = client.connections.take().unwrap();
        assert!(taken.is_new);
        drop(taken);
        let (mut stream, _) = listener.accept().unwrap();
        let read = tokio::task::spawn_blocking(move || stream.read_to_end(&mut Vec::new()));
        assert_eq!(read.await.unwrap().unwrap(), 0);
    }

    #[tokio::test]
    async fn a_host_that_refuses_connections_cannot_be_reached() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = client(listener.local_addr().unwrap().port());
        drop(listener);
        assert!(!client.is_reachable().await);
    }

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_micros(ms * 1_000)
    }

    #[test]
    fn a_host_is_checked_once_a_second_however_many_ask() {
        let hosts = Hosts::default();
        let check = hosts.begin("a", at(0)).ok().unwrap();
        assert!((0..1_000).all(|_| hosts.begin("a", at(10)).err() == Some(false)), "it is under way");
        assert!(hosts.begin("b", at(10)).is_ok(), "another host");
        check.end(at(20), true);
        assert!((20..1_020).all(|ms| hosts.begin("a", at(ms)).err() == Some(true)));
        hosts.begin("a", at(1_020)).ok().unwrap().end(at(1_030), false);
        assert_eq!(hosts.begin("a", at(1_040)).err(), Some(false));
    }

    #[test]
    fn a_check_that_was_cut_is_anybodys_again() {
        let hosts = Hosts::default();
        drop(hosts.begin("a", at(0)).ok().unwrap());
        assert!(hosts.begin("a", at(0)).is_ok());
    }

    #[test]
    fn hosts_of_which_nothing_is_known_any_more_are_forgotten() {
        let hosts = Hosts::default();
        for number in 0..10_000 {
            let check = hosts.begin(&number.to_string(), at(number * 100)).ok().unwrap();
            check.end(at(number * 100), false);
            assert!(lock(&hosts.0).len() <= HOSTS_KEPT);
        }
    }
}
