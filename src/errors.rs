//! Errors as data: JavaScript builds the error, with the caller's stack.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::{Value, json};
use spillway_core::error::Error;
use spillway_core::json::Body;
use spillway_core::outcome::{DeliveryFailure, Reason, Response};

use crate::json::write;
use crate::receipt::body_of;

/// A core error as JavaScript's `ErrorData`.
#[derive(Serialize)]
pub(crate) struct ErrorData<'a> {
    #[serde(flatten)]
    fields: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<Body<'a>>,
}

impl<'a> ErrorData<'a> {
    pub(crate) fn of(error: &'a Error) -> Self {
        let response = match error {
            Error::Delivery(failure) => failure.response.as_ref(),
            _ => None,
        };
        Self { fields: fields(error), response: response.map(body_of) }
    }

    /// The same where the body of the answer crosses by itself.
    pub(crate) fn without_response(error: &Error) -> Self {
        Self { fields: fields(error), response: None }
    }
}

fn fields(error: &Error) -> Value {
    let mut data = match error {
        Error::Config { field, .. } | Error::MessageInvalid { field, .. } => json!({ "field": field }),
        Error::Conflict { field, .. } => json!({ "field": field }),
        Error::Delivery(failure) => failure_data(failure),
        Error::Auth { message_id, .. } => json!({ "messageId": message_id }),
        Error::DrainTimeout { undelivered, .. } => json!({ "undelivered": undelivered }),
        Error::QueueFull { .. }
        | Error::ProcessFull { .. }
        | Error::Closed
        | Error::NotFound { .. }
        | Error::Store { .. }
        | Error::Resources { .. } => {
            json!({})
        }
    };
    data["code"] = error.code().into();
    data["message"] = error.to_string().into();
    data
}

fn failure_data(failure: &DeliveryFailure) -> Value {
    let mut data = json!({
        "reason": failure.reason.word(),
        "status": failure.response.as_ref().map(|response| response.status),
        "attempts": failure.attempts,
        "messageId": failure.id,
        "ambiguous": failure.ambiguous,
    });
    if let Reason::Throttled { retry_after } = failure.reason {
        data["retryAfterMs"] = json!(retry_after.as_secs_f64() * 1_000.0);
    }
    data
}

/// The one header whose lines can't be joined: a cookie may have commas in it.
const SET_COOKIE: &str = "set-cookie";

/// Headers by name as the adapters get them: `set-cookie` is a list, as in Node.js.
pub(crate) fn headers_with_cookies(response: &Response) -> Value {
    let cookies = response.headers.iter().filter(|(name, _)| name == SET_COOKIE);
    let cookies: Vec<&str> = cookies.map(|(_, value)| value.as_str()).collect();
    let mut headers = headers_data(response);
    if !cookies.is_empty() {
        headers[SET_COOKIE] = cookies.into();
    }
    headers
}

/// The first line of each header that has several, `set-cookie` apart: of some, Node.js' own client reads that alone.
pub(crate) fn first_lines(response: &Response) -> Option<Value> {
    let mut firsts: HashMap<&str, &String> = HashMap::new();
    let mut repeated = serde_json::Map::new();
    for (name, value) in &response.headers {
        match firsts.get(name.as_str()) {
            None => _ = firsts.insert(name.as_str(), value),
            Some(&first) if name != SET_COOKIE => _ = repeated.insert(name.clone(), first.as_str().into()),
            Some(_) => {}
        }
    }
    (!repeated.is_empty()).then_some(Value::Object(repeated))
}

/// Headers by name; a repeated one is joined as RFC 9110 (5.3) has it.
pub(crate) fn headers_data(response: &Response) -> Value {
    let mut headers = serde_json::Map::new();
    for (name, value) in &response.headers {
        match headers.get_mut(name) {
            Some(Value::String(earlier)) => {
                earlier.push_str(", ");
                earlier.push_str(value);
            }
            _ => {
                headers.insert(name.clone(), Value::String(value.clone()));
            }
        }
    }
    Value::Object(headers)
}

/// How JavaScript is to read a body that crosses as bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Reading {
    /// Not at all.
    Bytes,
    /// As JSON; as a text if it is not JSON.
    Json,
    Text,
}

impl Reading {
    /// By the content type, for which it needs the headers.
    pub(crate) fn by_type(response: &Response) -> Self {
        let content_type = response.headers.iter().find(|(name, _)| name == "content-type");
        let essence = content_type.and_then(|(_, value)| value.split(';').next()).unwrap_or_default().trim();
        let is_json =
            essence.eq_ignore_ascii_case("application/json") || essence.to_ascii_lowercase().ends_with("+json");
        if is_json { Self::of_any(response) } else { Self::Text }
    }

    /// Whatever the content type says.
    pub(crate) fn of_any(response: &Response) -> Self {
        if response.truncated { Self::Text } else { Self::Json }
    }
}

/// An error to throw from a synchronous call: its message is the `ErrorData`.
pub(crate) fn thrown(error: &Error) -> napi::Error {
    let mut text = Vec::new();
    write(&mut text, &ErrorData::of(error));
    napi::Error::from_reason(String::from_utf8_lossy(&text).into_owned())
}
