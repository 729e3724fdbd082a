//! What waits longest, as JSON.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use spillway_core::clock::Clock;
use spillway_core::dispatcher::{Backlog, OpenRequest, WaitingLane};

pub(super) fn backlog_data(backlog: &Backlog, clock: &Clock) -> Value {
    let lane = |lane: &WaitingLane| {
        json!({
            "conversationId": lane.conversation,
            "id": lane.id,
            "route": lane.route,
            "messages": lane.unsettled,
            "sinceMs": lane.since.map(|since| clock.epoch_ms(since)),
        })
    };
    let request = |request: &OpenRequest| {
        json!({
            "number": request.number,
            "route": request.route,
            "messages": request.messages,
            "id": request.id,
            "conversationId": request.conversation,
            "attempt": request.attempt,
            "sinceMs": request.since.map(|since| clock.epoch_ms(since)),
        })
    };
    let letters: BTreeMap<_, _> = backlog.letters.iter().copied().collect();
    json!({
        "oldestMs": backlog.oldest.map(|oldest| clock.epoch_ms(oldest)),
        "conversations": backlog.lanes.iter().map(lane).collect::<Vec<_>>(),
        "requests": backlog.requests.iter().map(request).collect::<Vec<_>>(),
        "letters": letters,
    })
}
