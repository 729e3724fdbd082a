//! What a sender reaches that is told what a learner has to find out: the quota of each moment, its window, and how
//! long requests take. The rest of its evidence is the same: it doesn't see arrivals, and where no header names the
//! quota, it must try one request more now and then to see that there is more, and obey the pause that the refusal of
//! it asks for, with one request as a probe afterwards.
//!
//! It sends a whole quota at once, and the next one a window and a rest later; of a few rests it is given the best.
//! What it misses of a bar, nobody with this evidence reaches.
//!
//! Where others use the same quota it is the budget of a known quota that is told what they leave.

use std::time::Duration;

use serde_json::json;
use spillway_core::evidence::Evidence;
use spillway_simulator::{Config, Model, Reply, Request};

use super::case::Case;
use super::draw::Draw;
use super::score::{Outcome, Score};
use super::sim::{EPOCH_MS, Sim};

/// A doubled quota is to be seen within 20 windows: so often, at least, one request more must be tried.
const WINDOWS_BETWEEN_TRIES: u64 = 20;
/// A pause without any evidence is never shorter.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// Rests of a slot beyond the window, times the longest travel / √n.
const RESTS: [f64; 5] = [0.5, 1.0, 1.5, 2.0, 3.0];

/// The best that it reaches.
pub fn reaches(case: &Case, seed: u64) -> Outcome {
    if case.server["others"].is_object() {
        let rate_limit = json!({ "requests": case.requests, "perMs": case.per_ms });
        return Sim::new(&Case { rate_limit, ..case.clone() }, seed).run();
    }
    let all = RESTS.into_iter().map(|rest| Oracle::new(case, seed, rest).run());
    all.max_by(|one, other| one.goodput.total_cmp(&other.goodput)).unwrap()
}

struct Oracle<'a> {
    case: &'a Case,
    model: Model,
    config: Config,
    ahead_us: u64,
    rest: f64,
    requests: u64,
    changes_made: usize,
    score: Score,
}

/// What came of requests that left together.
struct Ended {
    accepted: u64,
    /// All answers are there.
    at_us: u64,
    /// Nothing may leave before this.
    paused_until_us: Option<u64>,
}

impl<'a> Oracle<'a> {
    fn new(case: &'a Case, seed: u64, rest: f64) -> Self {
        let mut draw = Draw::stream(seed, 3);
        let config = Config::from_json(&case.server.to_string()).unwrap();
        let _sender = draw.next();
        let model = Model::new(config.clone(), draw.next());
        let ahead_us = draw.range(0, 120_000_000);
        Self { case, model, config, ahead_us, rest, requests: case.requests, changes_made: 0, score: Score::new(case) }
    }

    fn run(mut self) -> Outcome {
        let per_us = self.case.per_ms * 1_000;
        let tries = self.case.server["headers"] == "none";
        let mut now_us = 0;
        let mut windows = 0;
        while now_us < self.case.run_ms * 1_000 {
            self.change(now_us);
            windows += 1;
            let more = u64::from(tries && windows % WINDOWS_BETWEEN_TRIES == 0);
            let sent_us = now_us;
            let mut ended = self.send(now_us, self.requests + more);
            let rest_us = self.rest * self.config.latency.max_us as f64 / (self.requests as f64).sqrt();
            now_us = sent_us + per_us + rest_us as u64;
            while let Some(until_us) = ended.paused_until_us {
                // The slots of what was accepted are its own to keep.
                let sent_us = now_us.max(until_us);
                let accepted = ended.accepted;
                ended = self.send(sent_us, 1);
                now_us = ended.at_us;
                if ended.accepted == 1 && accepted > 0 && self.requests > 1 {
                    ended = self.send(now_us, self.requests - 1);
                    now_us = sent_us.max(now_us) + per_us + rest_us as u64;
                }
            }
        }
        self.score.end(self.case)
    }

    fn change(&mut self, now_us: u64) {
        while let Some(change) = self.case.changes.get(self.changes_made).filter(|it| it.at_ms * 1_000 <= now_us) {
            self.config = self.config.merge(&change.server.to_string()).unwrap();
            self.model.set(self.ahead_us + now_us, self.config.clone());
            self.score.changed(change.at_ms * 1_000, change.requests);
            self.requests = change.requests;
            self.changes_made += 1;
        }
    }

    fn send(&mut self, now_us: u64, count: u64) -> Ended {
        let mut travels: Vec<_> = (0..count).map(|_| self.model.travel()).collect();
        travels.sort_by_key(|travel| travel.arrival_us);
        let mut ended = Ended { accepted: 0, at_us: now_us, paused_until_us: None };
        for travel in travels {
            self.score.sent(now_us);
            let arrived_us = self.ahead_us + now_us + travel.arrival_us;
            let reply = self.model.arrive(arrived_us, &REQUEST);
            let answered_us = now_us + travel.arrival_us + travel.answer_us;
            ended.at_us = ended.at_us.max(answered_us);
            if reply.status == 429 {
                self.score.refused(answered_us);
                let until_us = answered_us + pause(&reply, self.ahead_us + answered_us).as_micros() as u64;
                ended.paused_until_us = ended.paused_until_us.max(Some(until_us));
            } else {
                ended.accepted += 1;
                self.score.delivered(answered_us);
            }
        }
        ended
    }
}

const REQUEST: Request<'_> = Request {
    method: "POST",
    path: "/api/v2/conversations/messages/agentless",
    authorization: Some("Bearer token"),
    idempotency_key: None,
    body: b"{}",
};

fn pause(reply: &Reply, server_us: u64) -> Duration {
    let find = |name: &str| reply.headers.iter().find(|(own, _)| *own == name).map(|(_, value)| value.as_str());
    let evidence = Evidence::read(find, reply.body.as_bytes(), EPOCH_MS + server_us / 1_000);
    evidence.wait().map_or(PAUSE_MIN, |wait| wait.span)
}
