//! An API request: counted, judged, answered.

use super::{Cut, Model, Reply};
use crate::answer;
use crate::config::{ArrayAnswer, Fault, Quota, Scripted};
use crate::content::{Content, Message};
use crate::faults;
use crate::headers;
use crate::limit::{Decision, Limit, decide};
use crate::request::{Request, Route};
use crate::retry_after;

/// Tokens with a quota of their own that are remembered at once; when there are more, all are forgotten.
const TOKEN_LIMITS_MAX: usize = 10_000;

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
    /// An API request arrives: it is counted, and answered.
    pub fn arrive(&mut self, now_us: u64, request: &Request<'_>) -> Reply {
        self.others(now_us);
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
}
