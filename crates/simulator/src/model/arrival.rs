//! An API request: counted, judged, answered.

use super::{Cut, Model, Reply, Routes};
use crate::answer;
use crate::config::{ArrayAnswer, Fault, LimitName, Outage, OutageKind, Quota, RouteRule, Scripted};
use crate::content::{Content, Message};
use crate::faults;
use crate::headers;
use crate::ledger::Answered;
use crate::limit::{Decision, Limit, decide};
use crate::request::{Request, Route};
use crate::retry_after;

/// Tokens with a quota of their own that are remembered at once; when there are more, all are forgotten.
const TOKEN_LIMITS_MAX: usize = 10_000;

/// What the server makes of a request.
enum Verdict {
    /// Accepted: status and body.
    Accepted(u16, String),
    /// 429: may come again in this many microseconds; the limit that refuses it, with its value.
    Refused(u64, Option<(LimitName, Option<u64>)>),
    /// Another error.
    Failed(u16),
}

/// What is laid down for a request.
struct Plan {
    scripted: Scripted,
    /// Its route's number in the configuration.
    route: Option<usize>,
    cut: Cut,
    /// What its client gets to know if it is accepted.
    told: Answered,
}

impl Model {
    /// An API request arrives: it is counted, and answered.
    pub fn arrive(&mut self, now_us: u64, request: &Request<'_>) -> Reply {
        self.others(now_us);
        let scripted = self.faults.next();
        match self.outages.of_request(now_us, Some(request.path())).cloned() {
            Some(outage) => {
                self.ledger.met_outage();
                self.pass_outage(now_us, request, &outage)
            }
            None => {
                let plan = self.plan(scripted, request);
                self.answer(now_us, request, plan)
            }
        }
    }

    /// An outage stands in front of the server; what passes it takes effect, but its answer does not come back.
    fn pass_outage(&mut self, now_us: u64, request: &Request<'_>, outage: &Outage) -> Reply {
        let context = self.names.uuid();
        let mut reply = Reply::of_outage(now_us, outage, |status| answer::error(status, &context));
        if reply.cut == Cut::Before {
            self.ledger.cut_before();
            return reply;
        }
        self.ledger.arrived(now_us);
        if outage.answer.accepted == Some(true) {
            let told = if outage.kind == OutageKind::Hang { Answered::Nothing } else { Answered::Failed };
            let plan = Plan { scripted: Scripted::default(), route: self.route(request), cut: Cut::None, told };
            let (verdict, _) = self.judge(now_us, request, &plan, &context);
            reply.accepted = matches!(verdict, Verdict::Accepted(..));
        }
        if outage.kind != OutageKind::Hang {
            self.ledger.answered(reply.status);
        }
        if outage.kind == OutageKind::Status {
            reply.headers.push(("inin-correlation-id".into(), context));
        }
        reply
    }

    fn plan(&self, mut scripted: Scripted, request: &Request<'_>) -> Plan {
        let route = self.route(request);
        if let Some(rule) = self.rule(route).filter(|_| scripted == Scripted::default()) {
            scripted.answer.clone_from(&rule.answer);
        }
        let cut = match scripted.fault {
            Some(Fault::CutBefore) => Cut::Before,
            Some(Fault::CutAfter) => Cut::After,
            Some(Fault::Garbage) => Cut::Garbage,
            _ => Cut::None,
        };
        let failed = scripted.fault.and_then(faults::status).is_some();
        let told = match scripted.answer.status {
            _ if cut != Cut::None => Answered::Nothing,
            Some(300..) => Answered::Failed,
            _ if failed => Answered::Failed,
            _ => Answered::Accepted,
        };
        Plan { scripted, route, cut, told }
    }

    fn route(&self, request: &Request<'_>) -> Option<usize> {
        Routes::find(&self.config, request)
    }

    fn rule(&self, route: Option<usize>) -> Option<&RouteRule> {
        self.config.routes.get(route?)
    }

    fn answer(&mut self, now_us: u64, request: &Request<'_>, plan: Plan) -> Reply {
        if plan.cut == Cut::Before {
            self.ledger.cut_before();
            return Reply::cut(now_us, Cut::Before);
        }
        self.ledger.arrived(now_us);
        let context = self.names.uuid();
        let (verdict, decision) = self.judge(now_us, request, &plan, &context);
        let accepted = matches!(verdict, Verdict::Accepted(..));
        if accepted && plan.cut != Cut::None {
            return Reply { accepted, ..Reply::cut(now_us, plan.cut) };
        }
        let mut reply = Reply { accepted, ..self.word(now_us, verdict, decision.as_ref(), context) };
        reply.change(&plan.scripted.answer);
        if plan.scripted.fault == Some(Fault::Slow) {
            reply.delay_us = self.config.slow_us;
        }
        self.ledger.answered(reply.status);
        reply
    }

    /// Decides in the order of a gateway: who is it, may it pass, does the backend work, is the request all right?
    fn judge(&mut self, now_us: u64, request: &Request<'_>, plan: &Plan, context: &str) -> (Verdict, Option<Decision>) {
        let in_front = plan.scripted.answer.status_in_front();
        if let Some(status) = in_front.filter(|status| *status != 429) {
            return (Verdict::Failed(status), None);
        }
        let Some(token) = self.tokens.accept(now_us, &self.config, request.authorization) else {
            return (Verdict::Failed(401), None);
        };
        if let (Some(quota), Some(client)) = (self.config.token_quotas.first(), self.tokens.client(token)) {
            self.ledger.arrived_of(now_us, &client, quota.per_us);
        }
        let decision = self.pass(now_us, token, plan.route, request.path());
        if decision.wait_us > 0 || in_front == Some(429) {
            let limit = self.refusing_limit(&decision, plan.route);
            return (Verdict::Refused(decision.wait_us, limit), Some(decision));
        }
        let verdict = match plan.scripted.fault.and_then(faults::status) {
            Some((status, false)) => Verdict::Failed(status),
            Some((status, true)) => self.handle(now_us, request, plan, Some(status), context),
            None => self.handle(now_us, request, plan, plan.scripted.answer.status, context),
        };
        (verdict, Some(decision))
    }

    /// Spends the quotas of the organization, of the token and of the route, or refuses.
    fn pass(&mut self, now_us: u64, token: &str, route: Option<usize>, path: &str) -> Decision {
        // Limits of nothing stand in for those that are not set.
        let (mut no_token, mut no_route) = (Limit::default(), Limit::default());
        if !self.config.token_quotas.is_empty() && !self.by_token.contains_key(token) {
            if self.by_token.len() >= TOKEN_LIMITS_MAX {
                self.by_token.clear();
            }
            self.by_token.insert(token.to_owned(), Limit::new(&self.config.token_quotas));
        }
        let of_token = self.by_token.get_mut(token).unwrap_or(&mut no_token);
        let of_route = route.and_then(|index| self.routes.limit(&self.config, index, path)).unwrap_or(&mut no_route);
        decide(&mut [&mut self.organization, of_token, of_route], now_us)
    }

    /// How the API calls the limit that refuses; of a 429 that no quota asks for, the route's.
    fn refusing_limit(&self, decision: &Decision, route: Option<usize>) -> Option<(LimitName, Option<u64>)> {
        let rule = self.rule(route);
        let Some(index) = decision.refusing() else {
            let rule = rule?;
            return Some((rule.limit.clone()?, rule.quotas.first().map(|quota| quota.requests)));
        };
        let of_route = rule.map_or(&[][..], |rule| &rule.quotas);
        let quota = self.config.quotas.iter().chain(&self.config.token_quotas).chain(of_route).nth(index)?;
        quota.limit.clone().map(|name| (name, Some(quota.requests)))
    }

    fn handle(
        &mut self,
        now_us: u64,
        request: &Request<'_>,
        plan: &Plan,
        status: Option<u16>,
        context: &str,
    ) -> Verdict {
        let Some(request) = self.readable(request) else { return Verdict::Failed(413) };
        let (body, content) = match request.route() {
            Route::Unknown if plan.route.is_some() => ("{}".to_owned(), None),
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
        self.ledger.accepted(now_us, messages.iter().filter(|message| !message.poisoned), plan.told);
        if plan.cut == Cut::After {
            self.ledger.cut_after();
        }
        match status.unwrap_or(200) {
            status @ 300.. => Verdict::Accepted(status, answer::error(status, context)),
            status => Verdict::Accepted(status, body),
        }
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
        let (of_organization, of_token) = (&self.config.quotas, &self.config.token_quotas);
        if namespace == "platform.api" {
            for (quotas, key) in [
                (of_organization, "org.requests.rate.per.minute"),
                (of_token, "client.credentials.token.rate.per.minute"),
            ] {
                let unnamed = quotas.first().filter(|quota| quota.limit.is_none());
                entities.extend(unnamed.map(|quota| (key, per_minute(quota))));
            }
        }
        let of_routes = self.config.routes.iter().flat_map(|rule| &rule.quotas);
        for quota in of_organization.iter().chain(of_token).chain(of_routes) {
            let named = quota.limit.as_ref().filter(|limit| limit.namespace == namespace);
            entities.extend(named.map(|limit| (&*limit.key, quota.requests)));
        }
        answer::limits(namespace, &entities)
    }

    fn word(&self, now_us: u64, verdict: Verdict, decision: Option<&Decision>, context: String) -> Reply {
        let epoch_us = self.epoch_us + now_us;
        let mut reply = match verdict {
            Verdict::Accepted(status, body) => Reply::json(now_us, status, body),
            Verdict::Failed(status @ ..300) => Reply::json(now_us, status, "{}".to_owned()),
            Verdict::Failed(status) => Reply::json(now_us, status, answer::error(status, &context)),
            Verdict::Refused(wait_us, limit) => {
                let told = self.config.retry_after_text.then(|| retry_after::seconds(wait_us));
                let limit = limit.as_ref().map(|(name, value)| (name, *value));
                let mut reply = Reply::json(now_us, 429, answer::too_many(told, limit, &context));
                let value = retry_after::value(self.config.retry_after, wait_us, epoch_us);
                reply.headers.extend(value.map(|value| ("retry-after".into(), value)));
                reply
            }
        };
        if let Some(decision) = decision {
            headers::write(&mut reply.headers, self.config.headers, self.config.reset_format, decision, epoch_us);
        }
        reply.headers.push(("inin-correlation-id".into(), context));
        reply
    }
}
