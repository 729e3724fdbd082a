//! What an outage lets through, and what it is about: for calls that end in it without an attempt of their own.

use bytes::Bytes;

use super::gate::{Cause, Gate, Pass};
use super::{Health, RouteId};
use crate::clock::Timestamp;
use crate::outcome::Response;
use crate::retry::Answer;

/// Bodies of server errors are short; a longer one is not kept.
const BODY_BYTES_MAX: usize = 8_192;
/// The headers without which a body can't be read, and the one that asks for a wait.
const KEPT_HEADERS: [&str; 3] = ["content-type", "content-encoding", "retry-after"];

/// What came of the last request that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::dispatcher) struct LastFailure {
    /// The answer, if the server failed with one.
    pub(in crate::dispatcher) response: Option<Response>,
    /// What went wrong where there is no such answer.
    pub(in crate::dispatcher) problem: Option<String>,
}

impl LastFailure {
    /// Of an answer that shows a failure. `problem` is for those that show it in another way than by their status.
    pub(in crate::dispatcher) fn of(answer: &Answer, problem: impl FnOnce() -> String) -> Self {
        match answer {
            Answer::Answered { response, .. } | Answer::TooLarge { response, .. } if !response.is_success() => {
                Self { response: Some(kept(response)), problem: None }
            }
            _ => Self { response: None, problem: Some(problem()) },
        }
    }
}

fn kept(response: &Response) -> Response {
    let Response { status, status_text, body, truncated, is_html_by_type, headers, correlation_id } = response;
    let mut kept = Response {
        status: *status,
        is_html_by_type: *is_html_by_type,
        status_text: status_text.clone(),
        correlation_id: correlation_id.clone(),
        ..Response::default()
    };
    if !truncated && body.len() <= BODY_BYTES_MAX {
        // A copy, so that the memory of answers is free for others.
        kept.body = Bytes::copy_from_slice(body);
        kept.headers = headers.iter().filter(|(name, _)| KEPT_HEADERS.contains(&&**name)).cloned().collect();
    }
    kept
}

fn is_outage(gate: &Gate) -> bool {
    matches!(gate.closed_by(), Some(Cause::Outage | Cause::Refused))
}

impl Health {
    /// Whether the organization is out.
    pub(in crate::dispatcher) fn is_out(&self) -> bool {
        is_outage(&self.organization)
    }

    /// Whether a request of this route may leave, as far as outages are concerned: the organization's and its own.
    pub(in crate::dispatcher) fn outage_pass(&mut self, now: Timestamp, route: RouteId) -> Pass {
        let gates = [&mut self.organization, &mut self.routes.get_mut(route).gate];
        gates.into_iter().filter(|gate| is_outage(gate)).fold(Pass::Free, |pass, gate| pass.and(gate.pass(now)))
    }

    /// A request of this route has failed: that is the latest of an outage, if there is one.
    pub(in crate::dispatcher) fn note_failure(&mut self, route: RouteId, failure: impl Fn() -> LastFailure) {
        if is_outage(&self.organization) {
            self.last_failure = Some(Box::new(failure()));
        }
        let route = self.routes.get_mut(route);
        if is_outage(&route.gate) {
            route.last_failure = Some(Box::new(failure()));
        }
    }

    /// What the outage is about that holds this route back.
    pub(in crate::dispatcher) fn outage_cause(&self, route: RouteId) -> LastFailure {
        let route = self.routes.get(route);
        let of_refusals = || LastFailure { response: None, problem: self.outage_problem.clone() };
        let failure = match route.gate.closed_by() {
            Some(Cause::Refused) => None,
            Some(Cause::Outage) => route.last_failure.as_ref(),
            _ => self.last_failure.as_ref(),
        };
        failure.map_or_else(of_refusals, |failure| (**failure).clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Evidence;

    fn failure(response: Response) -> LastFailure {
        LastFailure::of(&Answer::Answered { response, evidence: Evidence::default() }, || "a page".to_owned())
    }

    #[test]
    fn of_a_failure_its_answer_is_kept_as_far_as_others_can_use_it() {
        let header = |name: &str| (name.to_owned(), "x".to_owned());
        let headers = vec![header("content-type"), header("set-cookie"), header("location")];
        let whole = Response { status: 503, headers, body: Bytes::from_static(b"{}"), ..Response::default() };
        let kept = Response { headers: vec![header("content-type")], ..whole.clone() };
        assert_eq!(failure(whole.clone()), LastFailure { response: Some(kept), problem: None });

        let bare = Some(Response { status: 503, ..Response::default() });
        let large = Response { body: vec![b' '; BODY_BYTES_MAX + 1].into(), ..whole.clone() };
        assert_eq!(failure(large).response, bare);
        assert_eq!(failure(Response { truncated: true, ..whole }).response, bare);
    }

    #[test]
    fn a_page_in_place_of_an_answer_is_none() {
        let page = Response { status: 200, body: Bytes::from_static(b"<html>"), ..Response::default() };
        assert_eq!(failure(page), LastFailure { response: None, problem: Some("a page".to_owned()) });
        let cut = LastFailure::of(&Answer::Unanswered { problem: "cut".to_owned() }, || "cut".to_owned());
        assert_eq!(cut, LastFailure { response: None, problem: Some("cut".to_owned()) });
    }
}
