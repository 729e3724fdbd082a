//! Which outage is on: counted from the moment when the list was set.

use crate::config::{Config, Outage, OutageKind};

/// What a new connection meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// It is accepted.
    Open,
    /// It is refused.
    Refused,
    /// It is accepted, and its TLS handshake fails.
    BadTls,
}

/// The outages of a configuration, and since when they are in force.
#[derive(Clone, Debug)]
pub(super) struct Outages {
    list: Vec<Outage>,
    set_us: u64,
}

impl Outages {
    pub(super) fn new(config: &Config, now_us: u64) -> Self {
        Self { list: config.outages.clone(), set_us: now_us }
    }

    /// As `config` says; the same list goes on.
    pub(super) fn replaced_by(&self, config: &Config, now_us: u64) -> Self {
        if self.list == config.outages { self.clone() } else { Self::new(config, now_us) }
    }

    /// What a request for a token meets, or one to this path of the API.
    pub(super) fn of_request(&self, now_us: u64, path: Option<&str>) -> Option<&Outage> {
        self.on(now_us).find(|outage| outage.meets(path))
    }

    pub(super) fn port(&self, now_us: u64) -> Port {
        match self.on(now_us).find(|outage| outage.kind.is_of_the_port()).map(|outage| outage.kind) {
            None => Port::Open,
            Some(OutageKind::Tls) => Port::BadTls,
            Some(_) => Port::Refused,
        }
    }

    /// When the port may change next.
    pub(super) fn next_change_us(&self, now_us: u64) -> Option<u64> {
        let of_port = self.list.iter().filter(|outage| outage.kind.is_of_the_port());
        let edges = of_port.flat_map(|outage| [Some(outage.from_us), outage.until_us]).flatten();
        edges.map(|edge_us| self.set_us + edge_us).filter(|at_us| *at_us > now_us).min()
    }

    fn on(&self, now_us: u64) -> impl Iterator<Item = &Outage> {
        let since_us = now_us.saturating_sub(self.set_us);
        self.list.iter().filter(move |outage| outage.is_on(since_us))
    }
}
