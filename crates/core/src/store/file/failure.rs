//! Why a dead letter was given up, as the file has it.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::fault::{Fault, Result, damage};
use crate::outcome::{DeliveryFailure, Reason, Response};

/// A failure as the file has it; the answer's body is a column of its own.
#[derive(Debug, Serialize, Deserialize)]
struct FailureText {
    reason: String,
    attempts: u32,
    ambiguous: bool,
    problem: Option<String>,
    status: Option<u16>,
    #[serde(default)]
    truncated: bool,
    #[serde(default)]
    headers: Vec<(String, String)>,
    correlation_id: Option<String>,
}

/// The columns `failure` and `response`.
pub(super) fn failure_text(failure: &DeliveryFailure) -> (String, Option<&[u8]>) {
    let response = failure.response.as_ref();
    let text = FailureText {
        reason: failure.reason.word().into(),
        attempts: failure.attempts,
        ambiguous: failure.ambiguous,
        problem: failure.problem.clone(),
        status: response.map(|response| response.status),
        truncated: response.is_some_and(|response| response.truncated),
        headers: response.map(|response| response.headers.clone()).unwrap_or_default(),
        correlation_id: response.and_then(|response| response.correlation_id.clone()),
    };
    let Ok(text) = serde_json::to_string(&text) else { unreachable!("texts and numbers make JSON") };
    (text, response.map(|response| &*response.body))
}

/// What [`failure_text`] wrote.
pub(super) fn failure_from(text: &str, body: Option<&[u8]>, id: &str) -> Result<DeliveryFailure> {
    let text: FailureText = serde_json::from_str(text).map_err(damage)?;
    let response = text.status.map(|status| Response {
        status,
        body: Bytes::copy_from_slice(body.unwrap_or_default()),
        truncated: text.truncated,
        headers: text.headers,
        correlation_id: text.correlation_id,
        ..Response::default()
    });
    let reason =
        Reason::of_letter(&text.reason).ok_or_else(|| Fault::corrupt("holds a dead letter without a known reason"))?;
    Ok(DeliveryFailure {
        reason,
        id: Some(id.into()),
        response,
        attempts: text.attempts,
        ambiguous: text.ambiguous,
        problem: text.problem,
    })
}
