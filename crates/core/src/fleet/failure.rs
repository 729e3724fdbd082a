//! What an error of a Redis means for the renewal that met it, and for the connection.

use redis::{ErrorKind, RedisError, ServerError};

use crate::lease::{Failure, FailureKind};
use crate::settings::Node;

/// What is to be done about an error.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    /// Nothing: it passes on the server, and this connection is as good as another.
    Wait,
    /// Another connection: this one leads to a server that is no primary any more, or doesn't know us.
    Reconnect,
    /// The key is on that node; while it moves there, only for those who ask for it.
    Elsewhere { node: Node, asking: bool },
}

/// A refusal of one call; the connection works.
pub(super) fn refusal(error: &ServerError) -> (Failure, Remedy) {
    let code = inner_code(error);
    let (kind, problem) = match code {
        "LOADING" => (FailureKind::Loading, "Redis is loading its data"),
        "BUSY" => (FailureKind::Loading, "Redis is busy with another script"),
        "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN" => (FailureKind::Loading, "the Redis cluster is not ready"),
        "READONLY" => (FailureKind::ReadOnly, "this Redis is a read-only replica"),
        "NOREPLICAS" => (FailureKind::ReadOnly, "Redis has too few replicas to take writes"),
        "MISCONF" => (FailureKind::ReadOnly, "Redis takes no writes, since it cannot write its disk"),
        "OOM" => (FailureKind::Full, "Redis has no memory left (maxmemory)"),
        "NOAUTH" | "WRONGPASS" => (FailureKind::Denied, "Redis refuses the user or password"),
        "NOPERM" => (FailureKind::Denied, "the Redis user may not run the script (see docs/fleet.md for its ACL)"),
        "MOVED" | "ASK" => (FailureKind::Unreachable, "the Redis cluster sends the key from node to node"),
        _ => (FailureKind::Broken, "Redis refused the script"),
    };
    let remedy = match code {
        "READONLY" | "NOAUTH" | "WRONGPASS" | "MASTERDOWN" => Remedy::Reconnect,
        "MOVED" | "ASK" => {
            redirection(error).map_or(Remedy::Reconnect, |node| Remedy::Elsewhere { node, asking: code == "ASK" })
        }
        _ => Remedy::Wait,
    };
    // Only what has no code of its own may come from the middle of the script.
    let failure = Failure { kind, problem: with_code(problem, code), may_have_run: kind == FailureKind::Broken };
    (failure, remedy)
}

/// A connection could not be made, or has ended. `sent`: calls were on their way.
pub(super) fn of_connection(error: &RedisError, sent: bool) -> Failure {
    let failure = |kind, problem: String| Failure { kind, problem, may_have_run: sent };
    match error.kind() {
        _ if error.is_timeout() => failure(FailureKind::Unanswered, "Redis does not answer".to_owned()),
        ErrorKind::AuthenticationFailed => {
            failure(FailureKind::Denied, "Redis refuses the user or password".to_owned())
        }
        ErrorKind::Server(_) | ErrorKind::Extension => match server_error(error) {
            Some(error) => Failure { may_have_run: sent, ..refusal(&error).0 },
            None => failure(FailureKind::Broken, "Redis refused the script".to_owned()),
        },
        ErrorKind::MasterNameNotFoundBySentinel => {
            failure(FailureKind::Unreachable, "no Sentinel knows where the primary is".to_owned())
        }
        ErrorKind::RESP3NotSupported => {
            failure(FailureKind::Broken, "this server does not know RESP3: Redis 6.2 or Valkey is needed".to_owned())
        }
        ErrorKind::Io if sent => failure(FailureKind::Unanswered, "the connection to Redis was cut".to_owned()),
        ErrorKind::Io => failure(FailureKind::Unreachable, format!("Redis cannot be reached: {error}")),
        ErrorKind::InvalidClientConfig => {
            failure(FailureKind::Unreachable, format!("Redis cannot be reached: {error}"))
        }
        _ => failure(FailureKind::Broken, "Redis answered what makes no sense".to_owned()),
    }
}

/// The first error of a server in it: also of a login, of which the library keeps no more than its text.
fn server_error(error: &RedisError) -> Option<ServerError> {
    error.clone().into_server_errors()?.first().map(|(_, error)| error.clone())
}

fn redirection(error: &ServerError) -> Option<Node> {
    // MOVED 3999 127.0.0.1:6381
    let place = error.details()?.split_whitespace().nth(1)?;
    let (host, port) = place.rsplit_once(':')?;
    // A node that doesn't know its own name leaves it out: it is the one that was asked.
    (!host.is_empty()).then(|| Some(Node { host: host.to_owned(), port: port.parse().ok()? }))?
}

/// The code of what a command in the script was refused with: servers before 7.0 wrap it.
fn inner_code(error: &ServerError) -> &str {
    let wrapped = error.details().filter(|_| error.code() == "ERR").and_then(|details| {
        let (_, after) = details.split_once(": -")?;
        after.split([' ', '\r']).next().filter(|code| is_code(code))
    });
    wrapped.unwrap_or_else(|| error.code())
}

fn is_code(text: &str) -> bool {
    !text.is_empty() && text.len() <= 32 && text.bytes().all(|byte| byte.is_ascii_uppercase())
}

fn with_code(problem: &str, code: &str) -> String {
    // A server's own words might repeat what it was sent; its code can't.
    if is_code(code) { format!("{problem} ({code})") } else { problem.to_owned() }
}
