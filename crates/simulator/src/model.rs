//! The server without I/O: a request and a time go in, an answer comes out.

mod arrival;
mod outages;
mod reply;
mod routes;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use crate::answer;
use crate::config::{Config, Span, TokenFault};
use crate::content::{Content, decoded};
use crate::faults::Faults;
use crate::ledger::{Flight, Ledger, Report};
use crate::limit::Limit;
use crate::others::ForeignTraffic;
use crate::random::Chance;
use crate::request::Request;
use crate::tokens::{Minting, Tokens};
use outages::Outages;
pub use outages::Port;
pub use reply::{Cut, Reply, Travel};
use routes::Routes;

/// The start of 2026 in microseconds since 1970: when time 0 is, unless [`Model::starting_at`] says otherwise.
const EPOCH_US: u64 = 1_767_225_600_000_000;
/// The ledger's window without a quota.
const WINDOW_US: u64 = 1_000_000;

/// A Genesys-like server without network and clock.
///
/// The caller keeps the time, in microseconds since the server's start, and hands it in; it must not go back from one
/// call to the next. For one API request it calls, in this order:
/// 1. [`Model::open`] and [`Model::travel`] when the client sends it,
/// 2. [`Model::arrive`] `arrival_us` later,
/// 3. [`Model::close`] another `answer_us` and [`Reply::delay_us`] later, when it hands the answer over or cuts.
///
/// The same seed, configuration and calls give the same answers.
#[derive(Debug)]
pub struct Model {
    config: Config,
    epoch_us: u64,
    organization: Limit,
    by_token: HashMap<String, Limit>,
    routes: Routes,
    outages: Outages,
    foreign: Option<ForeignTraffic>,
    faults: Faults,
    tokens: Tokens,
    ledger: Ledger,
    travels: Chance,
    names: Chance,
}

impl Model {
    /// A server with nothing spent and nothing seen. `seed` is the root of every random choice; `config.seed` is the
    /// one that [`Server`](crate::Server) passes.
    pub fn new(config: Config, seed: u64) -> Self {
        Self {
            epoch_us: EPOCH_US,
            organization: Limit::new(&config.quotas),
            by_token: HashMap::new(),
            routes: Routes::new(&config),
            outages: Outages::new(&config, 0),
            foreign: config.others.map(|others| ForeignTraffic::new(others, 0)),
            faults: Faults::new(&config, Chance::stream(seed, 0)),
            tokens: Tokens::new(&config, Chance::stream(seed, 1)),
            ledger: Ledger::new(window_us(&config)),
            travels: Chance::stream(seed, 2),
            names: Chance::stream(seed, 3),
            config,
        }
    }

    /// Says when time 0 is: microseconds since 1970, for dates and Unix times in headers. Default: the start of 2026.
    #[must_use]
    pub fn starting_at(mut self, epoch_us: u64) -> Self {
        self.epoch_us = epoch_us;
        self
    }

    /// The configuration that is in force.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// From now on as `config` says. A quota that stays the same keeps what has been spent of it.
    pub fn set(&mut self, now_us: u64, config: Config) {
        self.others(now_us);
        if config.quotas != self.config.quotas {
            self.organization = Limit::new(&config.quotas);
        }
        if config.token_quotas != self.config.token_quotas {
            self.by_token.clear();
        }
        if config.others != self.foreign.as_ref().map(ForeignTraffic::others) {
            self.foreign = config.others.map(|others| ForeignTraffic::new(others, now_us));
        }
        if config.token_throttle != self.config.token_throttle {
            self.tokens.set_throttle(&config);
        }
        self.routes.set(&self.config, &config);
        self.outages = self.outages.replaced_by(&config, now_us);
        self.faults.set(&config);
        self.ledger.set_window(window_us(&config));
        self.config = config;
    }

    /// What a new connection meets now.
    pub fn port(&self, now_us: u64) -> Port {
        if self.config.refuse { Port::Refused } else { self.outages.port(now_us) }
    }

    /// What a new connection would meet now if [`Model::set`] was called with this configuration.
    pub fn port_with(&self, now_us: u64, config: &Config) -> Port {
        if config.refuse { Port::Refused } else { self.outages.replaced_by(config, now_us).port(now_us) }
    }

    /// When [`Model::port`] may say something else by itself.
    pub fn next_port_change_us(&self, now_us: u64) -> Option<u64> {
        self.outages.next_change_us(now_us)
    }

    /// Draws how long a request will be under way.
    pub fn travel(&mut self) -> Travel {
        let Span { min_us, max_us } = self.config.latency;
        if max_us == 0 {
            return Travel::default();
        }
        let latency_us = self.travels.between(min_us, max_us);
        let arrival = self.config.arrival.unwrap_or(Span { min_us: 0, max_us: latency_us });
        let arrival_us = self.travels.between(arrival.min_us, arrival.max_us).min(latency_us);
        Travel { arrival_us, answer_us: latency_us - arrival_us }
    }

    /// An API request has been sent: it is in flight until [`Model::close`].
    pub fn open(&mut self, request: &Request<'_>) -> Flight {
        if let Some(segment) = request.conversation_segment() {
            return self.ledger.open(std::iter::once(&*decoded(segment)));
        }
        let content = self.readable(request).and_then(|request| Content::read(request, None).ok());
        let messages = content.as_ref().map_or(&[][..], Content::messages);
        self.ledger.open(messages.iter().filter_map(|message| message.conversation.as_deref()))
    }

    /// The answer of a request has been handed over, or the request has ended without one.
    pub fn close(&mut self, flight: Flight) {
        self.ledger.close(flight);
    }

    /// A token request arrives.
    pub fn oauth(&mut self, now_us: u64, request: &Request<'_>) -> Reply {
        self.ledger.token_requested();
        if let Some(outage) = self.outages.of_request(now_us, None).cloned() {
            self.ledger.met_outage();
            let error = |_| answer::oauth_error("server_error", "the server failed");
            return Reply::of_outage(now_us, &outage, error);
        }
        let mut reply = Reply::json(now_us, 200, String::new());
        match self.config.token_fault {
            Some(TokenFault::Cut) => return Reply::cut(now_us, Cut::Before),
            Some(TokenFault::Status500) => {
                (reply.status, reply.body) = (500, answer::oauth_error("server_error", "the server failed"));
                return reply;
            }
            Some(TokenFault::Slow) => reply.delay_us = self.config.slow_us,
            None => {}
        }
        match self.tokens.mint(now_us, &self.config, request) {
            Minting::Issued(body) => {
                self.ledger.token_issued();
                reply.body = body;
            }
            Minting::Refused(status, body) => (reply.status, reply.body) = (status, body),
        }
        reply
    }

    /// Spends the foreign requests up to now. [`Model::arrive`] does so by itself.
    pub fn others(&mut self, now_us: u64) {
        if let Some(foreign) = &mut self.foreign {
            let organization = &mut self.organization;
            foreign.catch_up(now_us, |at_us| {
                organization.arrive(at_us);
            });
        }
    }

    /// A connection has been opened.
    pub fn connected(&mut self) {
        self.ledger.connected();
    }

    /// A connection has been closed.
    pub fn disconnected(&mut self) {
        self.ledger.disconnected();
    }

    /// What has been seen so far; `with_ids`: with the count of each message id, too.
    pub fn ledger(&self, with_ids: bool) -> Report {
        self.ledger.report(with_ids)
    }

    /// The request, if its body isn't too long to be looked at.
    fn readable<'r, 'a>(&self, request: &'r Request<'a>) -> Option<&'r Request<'a>> {
        (request.body.len() <= self.config.max_body_bytes).then_some(request)
    }
}

fn window_us(config: &Config) -> u64 {
    config.quotas.first().map_or(WINDOW_US, |quota| quota.per_us)
}
