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
        Error::QueueFull { .. } | Error::Closed | Error::NotFound { .. } | Error::Store { .. } => json!({}),
    };
    data["code"] = error.code().into();
    data["message"] = error.to_string().into();
    data
}

fn failure_data(failure: &DeliveryFailure) -> Value {
    json!({
        "reason": failure.reason.word(),
        "status": failure.response.as_ref().map(|response| response.status),
        "response": failure.response.as_ref().map(body_data),
        "attempts": failure.attempts,
        "messageId": failure.id,
        "ambiguous": failure.ambiguous,
    })
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
    json.unwrap_or_else(|| text_data(response))
}

/// JSON if the content type says so (and it is), else text; null when empty. Needs the headers.
pub(crate) fn body_by_type_data(response: &Response) -> Value {
    let content_type = response.headers.iter().find(|(name, _)| name == "content-type");
    let essence = content_type.and_then(|(_, value)| value.split(';').next()).unwrap_or_default().trim();
    let is_json = essence.eq_ignore_ascii_case("application/json") || essence.to_ascii_lowercase().ends_with("+json");
    if is_json || response.body.is_empty() { body_data(response) } else { text_data(response) }
}

fn text_data(response: &Response) -> Value {
    Value::String(String::from_utf8_lossy(&response.body).into_owned())
}

/// An error to throw from a synchronous call: its message is the `ErrorData`.
pub(crate) fn thrown(error: &Error) -> napi::Error {
    napi::Error::from_reason(error_data(error).to_string())
}
