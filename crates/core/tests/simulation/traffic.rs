//! What callers do, and what befalls the server: drawn action by action.

use std::num::NonZeroU32;
use std::time::Duration;

use bytes::Bytes;
use spillway_core::clock::Timestamp;
use spillway_core::message::{Call, CallLimits, Message, Parts, Payload, Settle, Submission, Ticket};

use super::draw::Draw;
use super::plan::Plan;
use super::submission_model::SubmissionModel;

#[derive(Clone, Debug)]
pub enum Action {
    Messages(u64),
    Calls(u64),
    Cancel(u64),
    Redrive,
    DropLetter,
    Drain(Option<u64>),
    Refuse(bool),
    /// A patch of the server's configuration.
    Server(String),
}

const WELL: &str = concat!(
    r#"{"faults":null,"tokenFault":null,"tokenThrottle":null,"credentials":{"clientSecret":"right"},"#,
    // The others leave, too: a pause of a day would be a day of their requests to count.
    r#""others":null,"outages":null,"routes":null}"#,
);

/// Nearly every request fails, so that the breaker opens.
const OUTAGE: &str = concat!(
    r#"{"faults":{"status503":0.9,"cutBefore":null,"cutAfter":null,"garbage":null,"#,
    r#""status500":null,"status502":null,"status504":null,"status408":null,"slow":null}}"#,
);

/// All actions of a run with their times.
pub fn schedule(plan: &Plan, draw: &mut Draw) -> Vec<(u64, Action)> {
    let mut actions: Vec<_> = (0..plan.actions).map(|_| (draw.range(0, plan.traffic_us), action(draw))).collect();
    for _ in 0..plan.spells {
        let begin = draw.range(0, plan.traffic_us - 1);
        let end = draw.range(begin, plan.traffic_us - 1);
        let (on, off) = spell(draw);
        actions.extend([(begin, on), (end, off)]);
    }
    actions.push((plan.traffic_us, Action::Refuse(false)));
    actions.push((plan.traffic_us, Action::Server(WELL.to_owned())));
    actions
}

fn action(draw: &mut Draw) -> Action {
    match draw.range(0, 99) {
        0..=69 => Action::Messages(draw.scale(1, 16)),
        70..=77 => Action::Calls(draw.range(1, 3)),
        78..=88 => Action::Cancel(draw.range(1, 4)),
        89..=93 => Action::Redrive,
        94..=95 => Action::DropLetter,
        96..=97 => Action::Drain(None),
        _ => Action::Drain(Some(1_000 * draw.scale(1, 10_000))),
    }
}

fn spell(draw: &mut Draw) -> (Action, Action) {
    let server = |text: &str| Action::Server(text.to_owned());
    match draw.range(0, 5) {
        0 => (
            server(r#"{"credentials":{"clientSecret":"other"},"tokenLifeMs":2000}"#),
            server(r#"{"credentials":{"clientSecret":"right"}}"#),
        ),
        1 => (server(r#"{"tokenFault":"status500"}"#), server(r#"{"tokenFault":null}"#)),
        2 => (server(r#"{"tokenFault":"slow","tokenLifeMs":3000}"#), server(r#"{"tokenFault":null}"#)),
        // Tokens that live too short a time to say so: every one of them ends with a 401.
        3 => (server(r#"{"tokenLifeMs":400}"#), server(r#"{"tokenLifeMs":60000}"#)),
        4 => (server(OUTAGE), server(r#"{"faults":{"status503":0.02}}"#)),
        _ => (Action::Refuse(true), Action::Refuse(false)),
    }
}

/// Names that were given to messages, so that some come again.
#[derive(Default)]
pub struct Names {
    given: Vec<String>,
    count: u64,
}

impl Names {
    fn next(&mut self, plan: &Plan, draw: &mut Draw) -> (String, bool) {
        if !draw.percent(plan.ids_percent) {
            self.count += 1;
            return (format!("generated-{}", self.count), false);
        }
        if !self.given.is_empty() && draw.percent(plan.repeats_percent) {
            let recent = self.given.len().saturating_sub(20);
            return (draw.pick(&self.given[recent..]).clone(), true);
        }
        self.count += 1;
        self.given.push(format!("given-{}", self.count));
        (format!("given-{}", self.count), true)
    }
}

pub fn message(
    plan: &Plan,
    draw: &mut Draw,
    names: &mut Names,
    now_us: u64,
    ticket: u64,
) -> (SubmissionModel, Submission) {
    let (name, id_given) = names.next(plan, draw);
    let conversation = format!("c-{}", draw.range(1, plan.conversations));
    let length = if draw.percent(2) { draw.range(1, 20_000) } else { draw.range(1, 200) } as usize;
    let body = format!(r#"{{"text":"{}"}}"#, "x".repeat(length));
    let message =
        Message::new(Parts { id: &name, id_given, conversation: &conversation, body: &body, ..Parts::default() })
            .expect("a message");
    let time = |draw: &mut Draw, chance: u64| draw.percent(chance).then(|| now_us + draw.range(0, plan.traffic_us / 3));
    let model = SubmissionModel {
        ticket,
        settles_on_acceptance: draw.percent(40),
        name,
        is_call: false,
        id_given,
        conversation,
        bytes: body.len(),
        attempts_max: None,
        expires_us: time(draw, 15),
        not_before_us: time(draw, 10),
        born: 0,
        redriven: false,
    };
    let priority = if draw.percent(70) { 0 } else { draw.range(0, 6) as i8 - 3 };
    let submission = submission(&model, Payload::Message(message), priority);
    (model, submission)
}

pub fn call(plan: &Plan, draw: &mut Draw, now_us: u64, ticket: u64) -> (SubmissionModel, Submission) {
    let (method, path) = *draw.pick(&[
        ("GET", "/api/v2/users/me"),
        ("POST", "/api/v2/conversations/messages/agentless"),
        ("DELETE", "/api/v2/nothing"),
    ]);
    let body = (method == "POST").then(|| Bytes::from_static(br#"{"textBody":"hello"}"#));
    let name = format!("{path}?call={ticket}");
    // By the ticket, so that the other draws stay as they are.
    let attempts_max = ticket.is_multiple_of(3).then_some(1);
    let model = SubmissionModel {
        ticket,
        settles_on_acceptance: false,
        name: name.clone(),
        is_call: true,
        id_given: false,
        conversation: String::new(),
        bytes: body.as_ref().map_or(0, Bytes::len),
        attempts_max,
        expires_us: draw.percent(10).then(|| now_us + draw.range(0, plan.traffic_us / 3)),
        not_before_us: None,
        born: 0,
        redriven: false,
    };
    let call = Call {
        method: method.into(),
        path: name.into(),
        headers: Vec::new(),
        body,
        timeout: draw.percent(20).then(|| Duration::from_millis(draw.range(250, 1_000))),
        response_bytes_max: 65_536,
        raw: false,
        idempotent: None,
        limits: CallLimits { max_attempts: attempts_max.and_then(NonZeroU32::new), ..CallLimits::default() },
    };
    let submission = submission(&model, Payload::Call(Box::new(call)), 0);
    (model, submission)
}

fn submission(model: &SubmissionModel, payload: Payload, priority: i8) -> Submission {
    Submission {
        ticket: Ticket { handle: 0, number: model.ticket },
        settle: if model.settles_on_acceptance { Settle::OnAcceptance } else { Settle::OnOutcome },
        payload,
        priority,
        expires_at: model.expires_us.map(Timestamp::from_micros),
        not_before: model.not_before_us.map(Timestamp::from_micros),
    }
}
