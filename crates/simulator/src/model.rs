//! The server without I/O: a request and a time go in, an answer comes out.

mod reply;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use crate::answer;
use crate::config::{ArrayAnswer, Config, Fault, Others, Quota, Scripted, Span, TokenFault};
use crate::content::{Content, Message};
use crate::faults::{self, Faults};
use crate::headers;
use crate::ledger::{Flight, Ledger, Report};
use crate::limit::{Decision, Limit, decide};
use crate::others::ForeignTraffic;
use crate::random::Chance;
use crate::request::{Request, Route};
use crate::retry_after;
use crate::tokens::{Minting, Tokens};
pub use reply::{Cut, Reply, Travel};

/// The start of 2026 in microseconds since 1970: when time 0 is, unless [`Model::starting_at`] says otherwise.
const EPOCH_US: u64 = 1_767_225_600_000_000;
/// Tokens with a quota of their own that are remembered at once.
const TOKEN_LIMITS_MAX: usize = 10_000;
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
    foreign: Option<ForeignTraffic>,
    faults: Faults,
    tokens: Tokens,
    ledger: Ledger,
    travels: Chance,
    names: Chance,
}

/// What the server makes of a request.
enum Verdict {
    /// Accepted: status and body.
    Accepted(u16, String),
    /// 429: may come again in so many microseconds.
    Refused(u64),
    /// Another error.
    Failed(u16),
}

impl Model {
    /// A server with nothing spent and nothing seen. `seed` is the root of every random choice; `config.seed` is the
    /// one that [`Server`](crate::Server) passes.
    pub fn new(config: Config, seed: u64) -> Self {
        Self {
            epoch_us: EPOCH_US,
            organization: Limit::new(&config.quotas),
            by_token: HashMap::new(),
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
        self.spend_foreign(now_us);
        if config.quotas != self.config.quotas {
            self.organization = Limit::new(&config.quotas);
        }
        if config.token_quotas != self.config.token_quotas {
            self.by_token.clear();
        }
        if config.others != self.foreign.as_ref().map(ForeignTraffic::others) {
            self.foreign = config.others.map(|others: Others| ForeignTraffic::new(others, now_us));
        }
        if config.token_throttle != self.config.token_throttle {
            self.tokens.set_throttle(&config);
        }
        self.faults.set(&config);
        self.ledger.set_window(window_us(&config));
        self.config = config;
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
            let name = percent_encoding::percent_decode_str(segment).decode_utf8_lossy();
            return self.ledger.open(std::iter::once(&*name));
        }
        let content = self.readable(request).and_then(|request| Content::read(request, None).ok());
        let messages = content.as_ref().map_or(&[][..], Content::messages);
        self.ledger.open(messages.iter().filter_map(|message| message.conversation.as_deref()))
    }

    /// The answer of a request has been handed over, or the request has ended without one.
    pub fn close(&mut self, flight: Flight) {
        self.ledger.close(flight);
    }

    /// An API request arrives: it is counted, and answered.
    pub fn arrive(&mut self, now_us: u64, request: &Request<'_>) -> Reply {
        self.spend_foreign(now_us);
        let plan = self.faults.next();
        if plan.fault == Some(Fault::CutBefore) {
            self.ledger.cut_before();
            return Reply::cut(now_us, Cut::Before);
        }
        self.ledger.arrived(now_us);
        let cut = match plan.fault {
            Some(Fault::CutAfter) => Cut::After,
            Some(Fault::Garbage) => Cut::Garbage,
            _ => Cut::None,
        };
        let context = self.names.uuid();
        let (verdict, decision) = self.judge(now_us, request, &plan, cut, &context);
        if cut != Cut::None && matches!(verdict, Verdict::Accepted(..)) {
            return Reply::cut(now_us, cut);
        }
        if matches!(verdict, Verdict::Refused(_)) {
            self.ledger.refused();
        }
        let mut reply = self.word(now_us, verdict, decision.as_ref(), context);
        if let Some(body) = plan.body {
            reply.body = body;
        }
        if plan.fault == Some(Fault::Slow) {
            reply.delay_us = self.config.slow_us;
        }
        self.ledger.answered(reply.status);
        reply
    }

    /// A token request arrives.
    pub fn oauth(&mut self, now_us: u64, request: &Request<'_>) -> Reply {
        self.ledger.token_requested();
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
        self.spend_foreign(now_us);
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

    fn spend_foreign(&mut self, now_us: u64) {
        if let Some(foreign) = &mut self.foreign {
            let organization = &mut self.organization;
            foreign.catch_up(now_us, |at_us| {
                organization.arrive(at_us);
            });
        }
    }

    /// Decides in the order of a gateway: who is it, may it pass, does the backend work, is the request all right?
    fn judge(
        &mut self,
        now_us: u64,
        request: &Request<'_>,
        plan: &Scripted,
        cut: Cut,
        context: &str,
    ) -> (Verdict, Option<Decision>) {
        let scripted = plan.status.filter(|status| *status >= 300 && *status != 429);
        if let Some(status) = scripted {
            return (Verdict::Failed(status), None);
        }
        let Some(token) = self.tokens.accept(now_us, &self.config, request.authorization) else {
            return (Verdict::Failed(401), None);
        };
        let decision = self.pass(now_us, token);
        if decision.wait_us > 0 || plan.status == Some(429) {
            return (Verdict::Refused(decision.wait_us), Some(decision));
        }
        let failure = plan.fault.and_then(faults::status);
        let verdict = match failure {
            Some(status) => Verdict::Failed(status),
            None => self.handle(now_us, request, plan.status, cut, context),
        };
        (verdict, Some(decision))
    }

    /// Spends the organisation's quotas and the token's, or refuses.
    fn pass(&mut self, now_us: u64, token: &str) -> Decision {
        if self.config.token_quotas.is_empty() {
            return decide(&mut [&mut self.organization], now_us);
        }
        if !self.by_token.contains_key(token) {
            if self.by_token.len() >= TOKEN_LIMITS_MAX {
                self.by_token.clear();
            }
            self.by_token.insert(token.to_owned(), Limit::new(&self.config.token_quotas));
        }
        match self.by_token.get_mut(token) {
            Some(own) => decide(&mut [&mut self.organization, own], now_us),
            None => decide(&mut [&mut self.organization], now_us),
        }
    }

    fn handle(&mut self, now_us: u64, request: &Request<'_>, status: Option<u16>, cut: Cut, context: &str) -> Verdict {
        let Some(request) = self.readable(request) else { return Verdict::Failed(413) };
        let (body, content) = match request.route() {
            Route::Unknown => return Verdict::Failed(404),
            Route::Me => (answer::me(), None),
            Route::Limits(namespace) => (self.limits(namespace), None),
            Route::Messages => match Content::read(request, self.config.poison_text.as_deref()) {
                Ok(content) => match self.messages_body(&content, context) {
                    Some(body) => (body, Some(content)),
                    None => return Verdict::Failed(400),
                },
                Err(_) => return Verdict::Failed(400),
            },
        };
        let messages = content.as_ref().map_or(&[][..], Content::messages);
        self.ledger.accepted(now_us, messages.iter().filter(|message| !message.poisoned), cut != Cut::None);
        if cut == Cut::After {
            self.ledger.cut_after();
        }
        Verdict::Accepted(status.unwrap_or(200), body)
    }

    /// The answer to messages that are accepted, be it some of a list; `None` when they are refused as a whole.
    fn messages_body(&self, content: &Content<'_>, context: &str) -> Option<String> {
        let poisoned = |messages: &[Message<'_>]| messages.iter().any(|message| message.poisoned);
        match content {
            Content::Many(messages) if self.config.array_answer == ArrayAnswer::List => Some(answer::each(messages)),
            Content::Many(messages) => (!poisoned(messages)).then(|| answer::all_accepted(messages, context)),
            Content::One(message) => (!message.poisoned).then(|| answer::accepted(message, context)),
        }
    }

    fn limits(&self, namespace: &str) -> String {
        let per_minute = |quota: &Quota| (quota.requests * 60_000_000).div_ceil(quota.per_us).max(1);
        let mut entities = Vec::new();
        if namespace == "platform.api" {
            entities
                .extend(self.config.quotas.first().map(|quota| ("org.requests.rate.per.minute", per_minute(quota))));
            let token = self.config.token_quotas.first();
            entities.extend(token.map(|quota| ("client.credentials.token.rate.per.minute", per_minute(quota))));
        }
        answer::limits(namespace, &entities)
    }

    fn word(&self, now_us: u64, verdict: Verdict, decision: Option<&Decision>, context: String) -> Reply {
        let epoch_us = self.epoch_us + now_us;
        let mut reply = match verdict {
            Verdict::Accepted(status, body) => Reply::json(now_us, status, body),
            Verdict::Failed(status) => Reply::json(now_us, status, answer::error(status, &context)),
            Verdict::Refused(wait_us) => {
                let told = self.config.retry_after_text.then(|| retry_after::seconds(wait_us));
                let mut reply = Reply::json(now_us, 429, answer::too_many(told, &context));
                let value = retry_after::value(self.config.retry_after, wait_us, epoch_us);
                reply.headers.extend(value.map(|value| ("retry-after", value)));
                reply
            }
        };
        if let Some(decision) = decision {
            headers::write(&mut reply.headers, self.config.headers, self.config.reset_format, decision, epoch_us);
        }
        reply.headers.push(("inin-correlation-id", context));
        reply
    }

    /// The request, if its body isn't too long to be looked at.
    fn readable<'r, 'a>(&self, request: &'r Request<'a>) -> Option<&'r Request<'a>> {
        (request.body.len() <= self.config.max_body_bytes).then_some(request)
    }
}

fn window_us(config: &Config) -> u64 {
    config.quotas.first().map_or(WINDOW_US, |quota| quota.per_us)
}
