//! The metrics: their names, what they mean, and where their values come from.

use spillway_core::budget::{Believed, Why};
use spillway_core::clock::Timestamp;
use spillway_core::stats::{
    Counters, Depth, FleetStanding, Latencies, Latency, Outage, Pause, PauseScope, Snapshot, StoreStanding,
};

use super::reading::Reading;
use super::rows::Rows;

/// What one family says of an organization. What is not known is left out.
pub(super) enum Samples {
    Counter(fn(&Counters) -> u64),
    Depth(fn(&Depth) -> usize),
    /// Of a file store; there are none of an outbox in memory.
    StoreCounter(fn(&StoreStanding) -> u64),
    StoreGauge(fn(&StoreStanding) -> bool),
    /// Of a shared budget; there are none of a process's own.
    FleetCounter(fn(&FleetStanding) -> u64),
    FleetGauge(fn(&FleetStanding, Timestamp) -> f64),
    Gauge(fn(&Snapshot, Timestamp, &mut Rows<'_>)),
    Summary(fn(&Latencies) -> &Latency),
}

pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) samples: Samples,
}

const fn family(name: &'static str, help: &'static str, samples: Samples) -> Family {
    Family { name, help, samples }
}

/// Everything that is told, in this order.
pub(super) const FAMILIES: &[Family] = &[
    family(
        "spillway_messages_accepted_total",
        "Messages that entered the outbox.",
        Samples::Counter(|counters| counters.accepted),
    ),
    family(
        "spillway_messages_duplicate_total",
        "Messages whose id was known already.",
        Samples::Counter(|counters| counters.duplicates),
    ),
    family(
        "spillway_messages_delivered_total",
        "Messages that ended as a receipt.",
        Samples::Counter(|counters| counters.delivered),
    ),
    family(
        "spillway_messages_dead_letter_total",
        "Messages that ended as a dead letter.",
        Samples::Counter(|counters| counters.dead_letters),
    ),
    family(
        "spillway_dead_letters_dropped_total",
        "Dead letters that were evicted.",
        Samples::Counter(|counters| counters.dead_letters_dropped),
    ),
    family("spillway_requests_total", "Requests sent to the API.", Samples::Counter(|counters| counters.requests)),
    family(
        "spillway_request_retries_total",
        "Requests that repeated a failed one.",
        Samples::Counter(|counters| counters.retries),
    ),
    family(
        "spillway_requests_throttled_total",
        "Requests that were answered with 429.",
        Samples::Counter(|counters| counters.throttled),
    ),
    family(
        "spillway_token_requests_total",
        "Access tokens that were requested.",
        Samples::Counter(|counters| counters.token_requests),
    ),
    family("spillway_queue_messages", "Messages and requests in the outbox.", Samples::Depth(|depth| depth.messages)),
    family("spillway_queue_bytes", "Bytes of the bodies in the outbox.", Samples::Depth(|depth| depth.bytes)),
    family(
        "spillway_queue_waiting_messages",
        "Messages that wait for room in the outbox.",
        Samples::Depth(|depth| depth.waiting),
    ),
    family(
        "spillway_queue_conversations",
        "Conversations with messages in the outbox.",
        Samples::Depth(|depth| depth.conversations),
    ),
    family("spillway_requests_in_flight", "Requests on the wire.", Samples::Depth(|depth| depth.in_flight)),
    family("spillway_dead_letters", "Dead letters that are kept.", Samples::Depth(|depth| depth.dead_letters)),
    family(
        "spillway_queue_refused_messages",
        "Refused messages that are tried again, since the refusal may be that of everybody.",
        Samples::Depth(|depth| depth.refused),
    ),
    family(
        "spillway_quota_requests",
        "Requests that the server allows in any rolling window of window_seconds.",
        Samples::Gauge(quota),
    ),
    family(
        "spillway_budget_available_requests",
        "Requests that may leave now.",
        Samples::Gauge(|snapshot, _, rows| rows.add(&[], f64::from(snapshot.available))),
    ),
    family(
        "spillway_budget_next_seconds",
        "Time until the next request may leave.",
        Samples::Gauge(|snapshot, now, rows| match snapshot.next_free {
            _ if snapshot.available > 0 => rows.add(&[], 0.0),
            Some(at) => rows.add(&[], at.since(now).as_secs_f64()),
            None => {}
        }),
    ),
    family(
        "spillway_paused",
        "1 while nothing is sent because the server asked for a pause.",
        Samples::Gauge(|snapshot, _, rows| rows.add_flag(&[], snapshot.pause.is_some())),
    ),
    family(
        "spillway_pause_remaining_seconds",
        "What is left of the pause.",
        Samples::Gauge(|snapshot, now, rows| match snapshot.pause.map(|pause| pause.until) {
            None => rows.add(&[], 0.0),
            Some(Some(until)) => rows.add(&[], until.since(now).as_secs_f64()),
            Some(None) => {}
        }),
    ),
    family(
        "spillway_pauses",
        "Pauses in force, by scope, route and the limit that the server named.",
        Samples::Gauge(|snapshot, _, rows| pauses(&snapshot.pauses, rows)),
    ),
    family("spillway_outage", "1 while nothing can be sent, by its reason.", Samples::Gauge(outage)),
    family(
        "spillway_messages_recovered_total",
        "Messages of an earlier run that went on in this one.",
        Samples::StoreCounter(|store| store.recovered),
    ),
    family(
        "spillway_messages_unreadable_total",
        "Messages that the file could not give back.",
        Samples::StoreCounter(|store| store.unreadable),
    ),
    family(
        "spillway_store_set_aside",
        "1 if a damaged file was set aside since the start.",
        Samples::StoreGauge(|store| store.set_aside.is_some()),
    ),
    family(
        "spillway_fleet_hosts",
        "Hosts that have a lease on a part of the shared budget.",
        Samples::FleetGauge(|fleet, _| f64::from(fleet.hosts)),
    ),
    family(
        "spillway_fleet_share_requests",
        "Requests of the shortest window that this host holds.",
        Samples::FleetGauge(|fleet, _| f64::from(fleet.share)),
    ),
    family(
        "spillway_fleet_target_requests",
        "What is due to this host of these.",
        Samples::FleetGauge(|fleet, _| f64::from(fleet.target)),
    ),
    family(
        "spillway_fleet_lease_seconds",
        "What is left of this host's lease; 0 without one.",
        Samples::FleetGauge(|fleet, now| fleet.lease_until.map_or(0.0, |until| until.since(now).as_secs_f64())),
    ),
    family(
        "spillway_fleet_unreachable",
        "1 while the store of the shared budget does not answer.",
        Samples::FleetGauge(|fleet, _| f64::from(u8::from(fleet.problem.is_some()))),
    ),
    family(
        "spillway_fleet_renewals_total",
        "Renewals that were sent to the store of the shared budget.",
        Samples::FleetCounter(|fleet| fleet.renewals),
    ),
    family(
        "spillway_message_queued_seconds",
        "From acceptance to the start of the request that delivered.",
        Samples::Summary(|latencies| &latencies.queued),
    ),
    family(
        "spillway_message_request_seconds",
        "From the start of the request that delivered to its answer.",
        Samples::Summary(|latencies| &latencies.request),
    ),
    family(
        "spillway_message_total_seconds",
        "From acceptance to the answer that delivered.",
        Samples::Summary(|latencies| &latencies.total),
    ),
];

impl Samples {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Counter(_) | Self::StoreCounter(_) | Self::FleetCounter(_) => "counter",
            Self::Depth(_) | Self::StoreGauge(_) | Self::FleetGauge(_) | Self::Gauge(_) => "gauge",
            Self::Summary(_) => "summary",
        }
    }

    pub(super) fn write(&self, reading: &Reading, rows: &mut Rows<'_>) {
        let snapshot = match self {
            Self::Summary(of) => return summary(of(&reading.latencies), rows),
            _ => match &reading.snapshot {
                Some(snapshot) => snapshot,
                None => return,
            },
        };
        if let Some(fleet) = &snapshot.fleet {
            match self {
                Self::FleetCounter(of) => rows.add(&[], of(fleet) as f64),
                Self::FleetGauge(of) => rows.add(&[], of(fleet, reading.now)),
                _ => {}
            }
        }
        match (self, &snapshot.store) {
            (Self::FleetCounter(_) | Self::FleetGauge(_), _) => {}
            (Self::Counter(of), _) => rows.add(&[], of(&snapshot.counters) as f64),
            (Self::Depth(of), _) => rows.add(&[], of(&snapshot.depth) as f64),
            (Self::Gauge(write), _) => write(snapshot, reading.now, rows),
            (Self::StoreCounter(of), Some(store)) => rows.add(&[], of(store) as f64),
            (Self::StoreGauge(of), Some(store)) => rows.add_flag(&[], of(store)),
            (Self::StoreCounter(_) | Self::StoreGauge(_) | Self::Summary(_), _) => {}
        }
    }
}

fn quota(snapshot: &Snapshot, _: Timestamp, rows: &mut Rows<'_>) {
    let is_configured = snapshot.quota.iter().all(|one| one.why == Why::Configured);
    let source = if is_configured { "configured" } else { "learned" };
    for Believed { requests, per, .. } in &snapshot.quota {
        let window = per.as_secs_f64().to_string();
        rows.add(&[("window_seconds", &window), ("source", source)], f64::from(*requests));
    }
}

/// Conversations and tokens are counted, not named: nobody wants a time series for each.
fn pauses(pauses: &[Pause], rows: &mut Rows<'_>) {
    let mut counts: Vec<([(&str, String); 5], u32)> = Vec::new();
    for Pause { scope, limit, .. } in pauses {
        let (scope, route) = match scope {
            PauseScope::Organization => ("organization", ""),
            PauseScope::Token(_) => ("token", ""),
            PauseScope::Route(route) => ("route", &**route),
            PauseScope::Conversation(_) => ("conversation", ""),
            PauseScope::Unknown => ("unknown", ""),
        };
        let limit = limit.as_deref();
        let labels = [
            ("scope", scope.to_owned()),
            ("route", route.to_owned()),
            ("namespace", limit.and_then(|limit| limit.namespace.as_deref()).unwrap_or_default().to_owned()),
            ("key", limit.map(|limit| &*limit.key).unwrap_or_default().to_owned()),
            ("value", limit.and_then(|limit| limit.value).map(|value| value.to_string()).unwrap_or_default()),
        ];
        match counts.iter_mut().find(|(known, _)| *known == labels) {
            Some((_, count)) => *count += 1,
            None => counts.push((labels, 1)),
        }
    }
    for (labels, count) in &counts {
        let labels = labels.each_ref().map(|(name, value)| (*name, &**value));
        rows.add(&labels, f64::from(*count));
    }
}

/// Several may hold at once: `outage` of the stats is the first of them.
fn outage(snapshot: &Snapshot, _: Timestamp, rows: &mut Rows<'_>) {
    let first = snapshot.outage.map(|closure| closure.reason);
    // What a route or one of several clients has leaves the messages alone.
    let is_of_all = |outage: &&Outage| outage.route.is_none() && outage.token.is_none();
    let others = snapshot.outages.iter().filter(is_of_all).map(|outage| outage.closure.reason);
    for reason in ["auth", "breaker", "budget", "refused", "token"] {
        let is_out = first == Some(reason) || others.clone().any(|other| other == reason);
        rows.add_flag(&[("reason", reason)], is_out);
    }
    let has_trouble = snapshot.store.as_ref().is_some_and(|store| store.problem.is_some());
    rows.add_flag(&[("reason", "store")], has_trouble);
}

/// The quantiles are those of all values since the engine's start. There is no sum: the underlying histogram has none.
fn summary(latency: &Latency, rows: &mut Rows<'_>) {
    // A quantile of nothing is NaN, as with the official clients; 0 would draw a perfect service.
    let known = |ms: f64| if latency.count() == 0 { f64::NAN } else { ms / 1_000.0 };
    rows.add(&[("quantile", "0.5")], known(latency.quantile_ms(0.5)));
    rows.add(&[("quantile", "0.99")], known(latency.quantile_ms(0.99)));
    rows.add(&[("quantile", "1")], known(latency.max_ms()));
    rows.add_count(latency.count());
}
