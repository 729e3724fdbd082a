//! A carryover as the store keeps it. Times are milliseconds from the moment of saving, since no clock of a process
//! outlives it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Carryover, OfToken};
use crate::budget::Belief;
use crate::clock::Timestamp;
use crate::dispatcher::health::{Bequest, Gate, KnownOutage, Limit, OperatorHold};
use crate::evidence::{NamedLimit, WaitSource};
use crate::stats::{Closure, Refusals};
use crate::token::TOKENS_MAX;

/// How finely spent slots are kept: this many steps of the widest window, each rounded to its later end.
const STEPS_PER_WINDOW: i64 = 64;
/// No window allows more requests, whatever a file says.
const SPENT_MAX: usize = 1_000_000;
/// No run tells more routes and conversations apart.
const LIMITS_MAX: usize = 1_280;
/// Nor more spans of time.
const SPANS_MAX: usize = 1_024;
/// What went wrong is kept up to this length.
const PROBLEM_BYTES_MAX: usize = 1_000;

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Saved {
    /// When requests have arrived that hold a slot, and how many.
    spent: Vec<(i64, u32)>,
    under_way: u32,
    belief: Belief,
    /// What each of several tokens has spent and learned.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tokens: Vec<SavedToken>,
    /// The organization's.
    pause: Option<SavedPause>,
    /// Those of other scopes.
    pauses: Vec<SavedLimit>,
    /// When messages did not age.
    standstill: Vec<(i64, i64)>,
    /// Whose they are is not known.
    in_doubt: bool,
    /// An operator's.
    hold: Option<SavedHold>,
    /// Messages in a row with an unknown outcome.
    unknown: u32,
    /// What these have shown.
    outage: Option<SavedOutage>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SavedOutage {
    is_organizations: bool,
    since_ms: i64,
    strikes: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refusals: Option<SavedRefusals>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SavedRefusals {
    status: u16,
    #[serde(default)]
    code: Option<Box<str>>,
    is_page: bool,
    #[serde(default)]
    correlation_id: Option<Box<str>>,
}

/// One of several tokens, by the fingerprint of its client.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SavedToken {
    fingerprint: u64,
    #[serde(default)]
    spent: Vec<(i64, u32)>,
    #[serde(default)]
    under_way: u32,
    #[serde(default)]
    belief: Belief,
    #[serde(default)]
    pause: Option<SavedPause>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SavedHold {
    since_ms: i64,
    #[serde(default)]
    until_ms: Option<i64>,
}

/// The limit of a route, by its name, or of a conversation.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SavedLimit {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    route: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    conversation: Option<Box<str>>,
    pause: SavedPause,
}

/// What the server calls it.
#[derive(Debug, Serialize, Deserialize)]
struct SavedName {
    key: String,
    #[serde(default)]
    namespace: Option<String>,
    #[serde(default)]
    value: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SavedPause {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    limit: Option<SavedName>,
    source: WaitSource,
    since_ms: i64,
    /// The next probe; `None` when that was due.
    until_ms: Option<i64>,
    /// The end of the wait that the server asked for, if it did.
    #[serde(default)]
    asked_until_ms: Option<i64>,
    strikes: u32,
}

impl Saved {
    pub(super) fn of(carryover: &Carryover, now: Timestamp) -> Self {
        Self {
            spent: steps(&carryover.spent, now),
            under_way: carryover.under_way,
            belief: carryover.belief.clone(),
            tokens: carryover.tokens.iter().map(|one| SavedToken::of(one, &carryover.pauses, now)).collect(),
            pause: carryover.pauses.organization.as_ref().and_then(|limit| SavedPause::of(limit, now)),
            pauses: SavedLimit::all(&carryover.pauses, now),
            standstill: carryover
                .standstill
                .iter()
                .map(|(start, end)| (since(*start, now), since(*end, now)))
                .collect(),
            in_doubt: carryover.pauses.is_in_doubt,
            hold: carryover.hold.map(|OperatorHold { since, until }| SavedHold {
                since_ms: -millis(now.since(since)),
                until_ms: until.map(|until| millis(until.since(now)) - millis(now.since(until))),
            }),
            unknown: carryover.pauses.unknown,
            outage: carryover.pauses.outage.as_ref().map(|outage| SavedOutage::of(outage, now)),
        }
    }

    pub(super) fn to_json(&self) -> Box<str> {
        match serde_json::to_string(self) {
            Ok(json) => json.into(),
            Err(error) => unreachable!("numbers and words are JSON: {error}"),
        }
    }

    /// What makes no sense is no evidence.
    pub(super) fn from_json(json: Option<&str>) -> Self {
        json.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default()
    }

    /// By the clock of this process. A probe that is due waits for no longer than in this run's own pauses, whatever a
    /// file says.
    pub(super) fn carryover(self, saved_at: Timestamp, now: Timestamp, max_pause: Duration) -> Carryover {
        let spent = times(&self.spent, saved_at);
        let under_way = self.under_way.min(SPENT_MAX as u32);
        let limit = |pause: SavedPause| pause.limit(saved_at, now, max_pause);
        let mut pauses = Bequest {
            organization: self.pause.map(limit),
            is_in_doubt: self.in_doubt,
            unknown: self.unknown,
            outage: self.outage.map(|outage| outage.known(saved_at, now)),
            ..Bequest::default()
        };
        let mut tokens = Vec::new();
        for SavedToken { fingerprint, spent, under_way, belief, pause } in self.tokens.into_iter().take(TOKENS_MAX) {
            pauses.tokens.extend(pause.map(|pause| (fingerprint, limit(pause))));
            let under_way = under_way.min(SPENT_MAX as u32);
            tokens.push(OfToken { fingerprint, spent: times(&spent, saved_at), under_way, belief });
        }
        for saved in self.pauses.into_iter().take(LIMITS_MAX) {
            match saved {
                SavedLimit { route: Some(route), pause, .. } => pauses.routes.push((route, limit(pause))),
                SavedLimit { conversation: Some(conversation), pause, .. } => {
                    pauses.conversations.push((conversation.into(), limit(pause)));
                }
                SavedLimit { .. } => {}
            }
        }
        // Until this run began nothing was tried, either.
        let standstill = self.standstill.into_iter().take(SPANS_MAX);
        let standstill =
            standstill.map(|(start, end)| (shifted(saved_at, start), shifted(saved_at, end).min(saved_at)));
        let standstill = standstill.chain([(saved_at, now)]).collect();
        let hold = self.hold.map(|SavedHold { since_ms, until_ms }| OperatorHold {
            since: shifted(saved_at, since_ms).min(now),
            until: until_ms.map(|ms| shifted(saved_at, ms)),
        });
        Carryover { spent, under_way, belief: self.belief, tokens, pauses, standstill, hold, until: now }
    }
}

impl SavedToken {
    fn of(one: &OfToken, pauses: &Bequest, now: Timestamp) -> Self {
        let OfToken { fingerprint, spent, under_way, belief } = one;
        let limit = pauses.tokens.iter().find(|(other, _)| other == fingerprint).map(|(_, limit)| limit);
        Self {
            fingerprint: *fingerprint,
            spent: steps(spent, now),
            under_way: *under_way,
            belief: belief.clone(),
            pause: limit.and_then(|limit| SavedPause::of(limit, now)),
        }
    }
}

impl SavedOutage {
    fn of(outage: &KnownOutage, now: Timestamp) -> Self {
        let KnownOutage { is_organizations, since, strikes, problem, refusals } = outage.clone();
        Self {
            is_organizations,
            since_ms: -millis(now.since(since)),
            strikes,
            problem: problem.map(|problem| cut(&problem).to_owned()),
            refusals: refusals.map(|Refusals { status, code, is_page, correlation_id }| SavedRefusals {
                status,
                code,
                is_page,
                correlation_id,
            }),
        }
    }

    fn known(self, saved_at: Timestamp, now: Timestamp) -> KnownOutage {
        let Self { is_organizations, since_ms, strikes, problem, refusals } = self;
        KnownOutage {
            is_organizations,
            since: shifted(saved_at, since_ms).min(now),
            strikes,
            problem: problem.map(|problem| cut(&problem).into()),
            refusals: refusals.map(|SavedRefusals { status, code, is_page, correlation_id }| Refusals {
                status,
                code,
                is_page,
                correlation_id,
            }),
        }
    }
}

fn cut(problem: &str) -> &str {
    let end = PROBLEM_BYTES_MAX.min(problem.len());
    let end = (0..=end).rev().find(|end| problem.is_char_boundary(*end)).unwrap_or_default();
    &problem[..end]
}

impl SavedLimit {
    fn all(pauses: &Bequest, now: Timestamp) -> Vec<Self> {
        let routes = pauses.routes.iter().map(|(name, limit)| (Some(name.clone()), None, limit));
        let conversations = pauses.conversations.iter().map(|(name, limit)| (None, Some((&**name).into()), limit));
        let saved = routes.chain(conversations).filter_map(|(route, conversation, limit)| {
            Some(Self { route, conversation, pause: SavedPause::of(limit, now)? })
        });
        saved.collect()
    }
}

impl SavedPause {
    fn of(limit: &Limit, now: Timestamp) -> Option<Self> {
        let Limit { gate, name, .. } = limit;
        let (closure, source) = (gate.closure()?, gate.throttled_by()?);
        let until_now = |at: Timestamp| millis(at.since(now)) - millis(now.since(at));
        let name = name.as_deref().cloned();
        Some(Self {
            limit: name.map(|NamedLimit { key, namespace, value }| SavedName { key, namespace, value }),
            source,
            since_ms: -millis(now.since(closure.since)),
            until_ms: closure.next_probe.map(until_now),
            asked_until_ms: closure.until.map(until_now),
            strikes: gate.strikes(),
        })
    }

    fn limit(self, saved_at: Timestamp, now: Timestamp, max_pause: Duration) -> Limit {
        let Self { limit, source, since_ms, until_ms, asked_until_ms, strikes } = self;
        let [until, asked_until] = [until_ms, asked_until_ms.or(until_ms)].map(|ms| Some(shifted(saved_at, ms?)));
        let next_probe = until.map(|until| until.min(now.after(max_pause)));
        let closure =
            Closure { reason: source.word(), since: shifted(saved_at, since_ms), until: asked_until, next_probe };
        let name = limit.map(|SavedName { key, namespace, value }| Box::new(NamedLimit { key, namespace, value }));
        Limit::of(now, Gate::paused(source, closure, saved_at, strikes), name)
    }
}

/// Each at the later end of its step. What may still arrive is kept to the millisecond.
fn steps(spent: &[Timestamp], now: Timestamp) -> Vec<(i64, u32)> {
    let oldest = spent.first().map(|at| now.since(*at)).unwrap_or_default();
    let step = (millis(oldest) / STEPS_PER_WINDOW).max(1);
    let mut steps: Vec<(i64, u32)> = Vec::new();
    for at in spent {
        let at = if *at > now { millis(at.since(now)) + 1 } else { -(millis(now.since(*at)) / step * step) };
        match steps.last_mut() {
            Some((last, count)) if *last == at => *count += 1,
            _ => steps.push((at, 1)),
        }
    }
    steps
}

/// How long ago it was.
fn since(at: Timestamp, now: Timestamp) -> i64 {
    -millis(now.since(at))
}

/// When slots were spent, in order.
fn times(steps: &[(i64, u32)], saved_at: Timestamp) -> Vec<Timestamp> {
    let steps = steps.iter().flat_map(|(ms, count)| std::iter::repeat_n(*ms, *count as usize));
    let mut spent: Vec<Timestamp> = steps.take(SPENT_MAX).map(|ms| shifted(saved_at, ms)).collect();
    spent.sort_unstable();
    spent
}

fn shifted(at: Timestamp, ms: i64) -> Timestamp {
    let span = Duration::from_millis(ms.unsigned_abs());
    if ms < 0 { at.before(span) } else { at.after(span) }
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
