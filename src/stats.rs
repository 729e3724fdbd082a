//! `stats()` as JSON.

use serde_json::{Value, json};
use spillway_core::budget::{Believed, Why};
use spillway_core::clock::{Clock, Timestamp};
use spillway_core::evidence::NamedLimit;
use spillway_core::handle::Handle;
use spillway_core::stats::{
    Closure, FleetStanding, Latency, Outage, Pause, PauseScope, Refusals, Snapshot, StoreStanding, TokenStanding,
};
use spillway_core::totals::{Holdings, Totals};

pub(crate) fn stats_text(handle: &Handle) -> String {
    let (snapshot, latencies) = handle.stats();
    let clock = handle.clock();
    let mut stats = snapshot.map_or(Value::Null, |snapshot| snapshot_data(&snapshot, clock));
    stats["organization"] = handle.organization().into();
    stats["latencies"] = json!({
        "queuedMs": latency_data(&latencies.queued),
        "requestMs": latency_data(&latencies.request),
        "totalMs": latency_data(&latencies.total),
    });
    stats["process"] = process_data(&handle.totals());
    stats.to_string()
}

fn process_data(totals: &Totals) -> Value {
    let data = |Holdings { queue, letters, ids }: Holdings| {
        json!({
            "messages": queue.count,
            "bytes": queue.bytes,
            "deadLetters": letters.count,
            "deadLetterBytes": letters.bytes,
            "ids": ids,
        })
    };
    let mut process = data(totals.held());
    process["max"] = data(totals.max());
    process
}

fn snapshot_data(snapshot: &Snapshot, clock: &Clock) -> Value {
    let (counters, depth) = (&snapshot.counters, &snapshot.depth);
    let now = clock.now();
    let remaining_ms = |until: Timestamp| until.since(now).as_secs_f64() * 1_000.0;
    json!({
        "counters": {
            "accepted": counters.accepted,
            "duplicates": counters.duplicates,
            "delivered": counters.delivered,
            "deadLetters": counters.dead_letters,
            "deadLettersDropped": counters.dead_letters_dropped,
            "requests": counters.requests,
            "retries": counters.retries,
            "throttled": counters.throttled,
            "tokenRequests": counters.token_requests,
        },
        "queue": {
            "messages": depth.messages,
            "bytes": depth.bytes,
            "waiting": depth.waiting,
            "conversations": depth.conversations,
            "inFlight": depth.in_flight,
            "deadLetters": depth.dead_letters,
            "refused": depth.refused,
        },
        "quota": quota_data(&snapshot.quota, snapshot.quota_since, clock),
        "budget": {
            "available": snapshot.available,
            "nextInMs": if snapshot.available > 0 { Some(0.0) } else { snapshot.next_free.map(remaining_ms) },
        },
        "pause": snapshot.pause.map(|closure| {
            json!({
                "reason": closure.reason,
                "untilMs": closure.until.map(|until| clock.epoch_ms(until)),
                "remainingMs": closure.until.map(remaining_ms),
                "nextProbeMs": closure.next_probe.map(|at| clock.epoch_ms(at)),
            })
        }),
        "pauses": snapshot.pauses.iter().map(|Pause { scope, limit, closure }| {
            let mut data = scope_data(scope, limit.as_deref());
            data["reason"] = closure.reason.into();
            data["sinceMs"] = json!(clock.epoch_ms(closure.since));
            data["untilMs"] = json!(closure.until.map(|until| clock.epoch_ms(until)));
            data["nextProbeMs"] = json!(closure.next_probe.map(|at| clock.epoch_ms(at)));
            data
        }).collect::<Vec<_>>(),
        "outage": snapshot.outage.map(|Closure { reason, since, next_probe, .. }| {
            let mut data = json!({
                "reason": reason,
                "message": snapshot.outage_problem,
                "sinceMs": clock.epoch_ms(since),
                "nextProbeMs": next_probe.map(|at| clock.epoch_ms(at)),
            });
            if let Some(Refusals { status, code, is_page, correlation_id }) = &snapshot.refusals {
                data["detail"] = json!({ "status": status, "code": code, "html": is_page, "correlationId": correlation_id });
            }
            data
        }),
        "outages": snapshot.outages.iter().map(|Outage { route, token, closure, problem }| {
            let mut data = json!({
                "route": route,
                "reason": closure.reason,
                "message": problem,
                "sinceMs": clock.epoch_ms(closure.since),
                "nextProbeMs": closure.next_probe.map(|at| clock.epoch_ms(at)),
            });
            if let Some(token) = token {
                data["token"] = (&**token).into();
            }
            data
        }).collect::<Vec<_>>(),
        "tokens": (!snapshot.tokens.is_empty()).then(|| {
            let data = |TokenStanding { name, quota, available }: &TokenStanding| {
                json!({ "token": name, "windows": windows_data(quota), "available": available })
            };
            snapshot.tokens.iter().map(data).collect::<Vec<_>>()
        }),
        "merging": snapshot.joins.as_ref().map(|joins| {
            let field = |(field, times): &(Box<str>, u64)| json!({ "field": field, "times": times });
            json!({ "joined": joins.joined, "prevented": joins.prevented.iter().map(field).collect::<Vec<_>>() })
        }),
        "store": snapshot.store.as_ref().map(|store| {
            let StoreStanding { recovered, unreadable, unreadable_pages, set_aside, problem } = store;
            let problem = problem.as_ref().map(|error| json!({ "code": error.code(), "message": error.to_string() }));
            let mut data =
                json!({ "recovered": recovered, "unreadable": unreadable, "setAside": set_aside, "problem": problem });
            if *unreadable_pages > 0 {
                data["unreadablePages"] = json!(unreadable_pages);
            }
            data
        }),
        "fleet": snapshot.fleet.as_deref().map(|fleet| fleet_data(fleet, clock)),
    })
}

fn fleet_data(fleet: &FleetStanding, clock: &Clock) -> Value {
    let at = |time: Option<Timestamp>| time.map(|time| clock.epoch_ms(time));
    json!({
        "host": fleet.host.to_string(),
        "hosts": fleet.hosts,
        "share": fleet.share,
        "target": fleet.target,
        "leaseUntilMs": at(fleet.lease_until),
        "waitsUntilMs": at(fleet.forgetting_until),
        "rateLimitsDiffer": fleet.differs,
        "usesOwnShare": fleet.is_static,
        "renewals": fleet.renewals,
        "problem": fleet.problem,
    })
}

/// For what a pause holds, and the limit that the server named, in stats and events alike.
pub(crate) fn scope_data(scope: &PauseScope, limit: Option<&NamedLimit>) -> Value {
    let (word, route, conversation) = match scope {
        PauseScope::Organization => ("organization", None, None),
        PauseScope::Token(_) => ("token", None, None),
        PauseScope::Route(route) => ("route", Some(&**route), None),
        PauseScope::Conversation(conversation) => ("conversation", None, Some(&**conversation)),
        PauseScope::Unknown => ("unknown", None, None),
    };
    let mut data = json!({
        "scope": word,
        "route": route,
        "conversationId": conversation,
        "key": limit.map(|limit| &limit.key),
        "namespace": limit.and_then(|limit| limit.namespace.as_ref()),
        "value": limit.and_then(|limit| limit.value),
    });
    if let PauseScope::Token(name) = scope {
        data["token"] = (&**name).into();
    }
    data
}

/// What is believed of the quota, in stats and events alike.
pub(crate) fn quota_data(quota: &[Believed], since: Timestamp, clock: &Clock) -> Value {
    let is_configured = quota.iter().all(|one| one.why == Why::Configured);
    json!({
        "windows": windows_data(quota),
        "source": if is_configured { "configured" } else { "learned" },
        "sinceMs": clock.epoch_ms(since),
    })
}

fn windows_data(quota: &[Believed]) -> Vec<Value> {
    let window = |one: &Believed| {
        json!({
            "requests": one.requests,
            "perMs": one.per.as_millis() as u64,
            "why": one.why.word(),
            "share": one.share,
        })
    };
    quota.iter().map(window).collect()
}

fn latency_data(latency: &Latency) -> Value {
    json!({
        "p50": latency.quantile_ms(0.5),
        "p99": latency.quantile_ms(0.99),
        "max": latency.max_ms(),
        "count": latency.count(),
    })
}
