//! The texts of the answers, as Genesys words them.

use serde::Serialize;
use serde_json::{Value, json};

use crate::config::LimitName;
use crate::content::Message;

/// The body of a 429; `seconds`: told in the text, as newer gateways do; `limit`: named, with its value.
pub(crate) fn too_many(seconds: Option<u64>, limit: Option<(&LimitName, Option<u64>)>, context: &str) -> String {
    let mut body = match seconds {
        Some(seconds) => error_text(
            429,
            "too.many.requests.retry.after",
            &format!("Rate limit exceeded the maximum. Retry the request in [{seconds}] seconds"),
            context,
        ),
        None => error_text(429, "too.many.requests", "Rate limit exceeded the maximum.", context),
    };
    if let Some((LimitName { key, namespace }, value)) = limit {
        let limit = match value {
            Some(value) => json!({ "key": key, "namespace": namespace, "value": value }),
            None => json!({ "key": key, "namespace": namespace }),
        };
        body.truncate(body.len() - 1);
        body.push_str(&format!(r#","limit":{limit}}}"#));
    }
    body
}

/// A page of HTML as load balancers answer with it; with a status of success, one that tells of maintenance.
pub(crate) fn page(status: u16) -> String {
    let title = match status {
        200..300 => "Scheduled maintenance",
        403 => "403 Forbidden",
        429 => "429 Too Many Requests",
        500 => "500 Internal Server Error",
        502 => "502 Bad Gateway",
        503 => "503 Service Temporarily Unavailable",
        504 => "504 Gateway Time-out",
        _ => "Error",
    };
    format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
    )
}

/// The body of any other error.
pub(crate) fn error(status: u16, context: &str) -> String {
    let (code, message) = match status {
        400 => ("bad.request", "The request could not be understood by the server due to malformed syntax."),
        401 => ("bad.credentials", "Invalid login credentials."),
        404 => ("not.found", "The requested resource was not found."),
        408 => ("request.timeout", "The client did not produce a request within the server timeout limit."),
        413 => ("request.entity.too.large", "The request is over the size limit."),
        500 => ("internal.server.error", "The server encountered an unexpected condition."),
        502 => ("bad.gateway", "The gateway got an invalid answer."),
        503 => ("service.unavailable", "Service Unavailable - The server is currently unavailable."),
        504 => ("gateway.timeout", "The request timed out."),
        _ => ("error", "The request failed."),
    };
    error_text(status, code, message, context)
}

fn error_text(status: u16, code: &str, message: &str, context: &str) -> String {
    // All parts are ours and need no escaping.
    format!(
        r#"{{"message":"{message}","code":"{code}","status":{status},"contextId":"{context}","details":[],"errors":[]}}"#
    )
}

/// The body for one accepted message.
pub(crate) fn accepted(message: &Message<'_>, fallback_id: &str) -> String {
    let id = message.id.as_deref().unwrap_or(fallback_id);
    // Texts alone, which can always be written.
    serde_json::to_string(&Accepted { id, conversation_id: message.conversation.as_deref() }).unwrap_or_default()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Accepted<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    conversation_id: Option<&'a str>,
}

/// The body for an array whose messages share one status.
pub(crate) fn all_accepted(messages: &[Message<'_>], context: &str) -> String {
    json!({ "id": context, "accepted": messages.len() }).to_string()
}

/// The body for an array with a status for each message.
pub(crate) fn each(messages: &[Message<'_>]) -> String {
    let one = |message: &Message<'_>| {
        if message.poisoned {
            json!({ "id": message.id, "status": 400, "code": "bad.request", "message": "The message is invalid." })
        } else {
            json!({ "id": message.id, "conversationId": message.conversation, "status": 200 })
        }
    };
    Value::from_iter(messages.iter().map(one)).to_string()
}

/// The user that a token belongs to.
pub(crate) fn me() -> String {
    json!({ "id": "5b4a5f0e-7d5c-4d7b-9a51-6f1c1d2e3f40", "name": "Spillway Simulator", "state": "active", "version": 1 })
        .to_string()
}

/// The limits of a namespace.
pub(crate) fn limits(namespace: &str, entities: &[(&str, u64)]) -> String {
    let entity = |(key, value): &(&str, u64)| json!({ "key": key, "namespace": namespace, "value": value });
    json!({ "entities": Value::from_iter(entities.iter().map(entity)) }).to_string()
}

/// An OAuth error.
pub(crate) fn oauth_error(error: &str, description: &str) -> String {
    json!({ "error": error, "description": description, "error_description": description }).to_string()
}

/// An access token.
pub(crate) fn token(token: &str, life_us: u64) -> String {
    // Whole seconds, rounded down: a client that trusts them doesn't use a token for too long.
    json!({ "access_token": token, "token_type": "bearer", "expires_in": life_us / 1_000_000 }).to_string()
}
