//! Errors as data: JavaScript builds the error, with the caller's stack.

use serde_json::{Value, json};
use spillway_core::error::Error;
use spillway_core::outcome::{DeliveryFailure, Response};

/// A core error as JavaScript's `ErrorData`.
pub(crate) fn error_data(error: &Error) -> Value {
    let mut data = match error {
        Error::Config { field, .. } | Error::MessageInvalid { field, .. } => json!({ "field": field }),
        Error::Conflict { field, .. } => json!({ "field": field }),
        Error::Delivery(failure) => failure_data(failure),
        Error::Auth { message_id, .. } => json!({ "messageId": message_id }),
        Error::DrainTimeout { undelivered, .. } => json!({ "undelivered": undelivered }),
        Error::QueueFull { .. } | Error::Closed | Error::NotFound { .. } => json!({}),
    };
    data["code"] = error.code().into();
    data["message"] = error.to_string().into();
    data
}

fn failure_data(failure: &DeliveryFailure) -> Value {
    json!({
        "reason": failure.reason.word(),
        "status": failure.response.as_ref().map(|response| response.status),
        "response": failure.response.as_ref().map(response_data),
        "attempts": failure.attempts,
        "messageId": failure.id,
        "ambiguous": failure.ambiguous,
    })
}

/// `{ status, body }`, with headers where they were kept.
pub(crate) fn response_data(response: &Response) -> Value {
    let mut data = json!({ "status": response.status, "body": body_data(response) });
    if !response.headers.is_empty() {
        data["headers"] = headers_data(response);
    }
    if response.truncated {
        data["truncated"] = true.into();
    }
    data
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

/// JSON if it is JSON, else text; null when empty.
pub(crate) fn body_data(response: &Response) -> Value {
    if response.body.is_empty() {
        return Value::Null;
    }
    let json = if response.truncated { None } else { serde_json::from_slice(&response.body).ok() };
    json.unwrap_or_else(|| Value::String(String::from_utf8_lossy(&response.body).into_owned()))
}

/// An error to throw from a synchronous call: its message is the `ErrorData`.
pub(crate) fn thrown(error: &Error) -> napi::Error {
    napi::Error::from_reason(error_data(error).to_string())
}
