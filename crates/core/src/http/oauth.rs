//! Access tokens by the client credentials grant
//! (<https://developer.genesys.cloud/authorization/platform-auth/use-client-credentials>).

use std::time::Duration;

use reqwest::header::HeaderValue;
use serde::Deserialize;

use super::{Client, chain};
use crate::clock::Clock;
use crate::evidence::Evidence;
use crate::settings::Credentials;

/// The largest answer of the login host that is read.
const TOKEN_RESPONSE_BYTES_MAX: usize = 65_536;
/// Lives of tokens that are believed, in seconds: a shorter one would be over before it is used, and the next asked for at once.
const LIFE_MIN_S: f64 = 0.001;
const LIFE_MAX_S: f64 = 172_800.0;
/// How Genesys says "too many tokens": a 400 whose description starts so.
const THROTTLED: &str = "rate limit exceeded";

/// What became of asking for a token.
pub enum TokenAnswer {
    /// A token, and how long it lives if that is known.
    Granted {
        /// The `Authorization` header; marked sensitive, so that no debug output shows it.
        header: HeaderValue,
        /// Its life.
        lifetime: Option<Duration>,
    },
    /// The credentials are wrong.
    Refused(String),
    /// Try later, at the earliest after the wait if there is one.
    Failed {
        /// What went wrong.
        problem: String,
        /// What the host asked for.
        wait: Option<Duration>,
    },
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: Option<f64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Refused {
    error: String,
    description: String,
    error_description: String,
}

impl TokenAnswer {
    /// A token that the caller gave.
    pub fn given(token: &str) -> Self {
        Self::granted(token, None)
    }

    fn granted(token: &str, lifetime: Option<Duration>) -> Self {
        match HeaderValue::from_str(&format!("Bearer {token}")) {
            Ok(mut header) => {
                header.set_sensitive(true);
                Self::Granted { header, lifetime }
            }
            Err(_) => Self::Refused("the access token has characters that a header can't carry".to_owned()),
        }
    }
}

impl Client {
    /// Asks the login host for a token. `Credentials::Callback` is answered by the caller, not here.
    pub async fn token(&self) -> TokenAnswer {
        match &self.settings.credentials {
            Credentials::Token(token) => TokenAnswer::given(token),
            Credentials::Client { id, secret } => {
                let asking = self.mint(id, secret);
                let timeout = self.settings.connections.request_timeout;
                tokio::time::timeout(timeout, asking).await.unwrap_or_else(|_| TokenAnswer::Failed {
                    problem: format!("the login host did not answer within {} ms", timeout.as_millis()),
                    wait: None,
                })
            }
            Credentials::Callback => {
                TokenAnswer::Failed { problem: "no accessToken function is left".to_owned(), wait: None }
            }
        }
    }

    async fn mint(&self, id: &str, secret: &str) -> TokenAnswer {
        let request = self
            .http
            .post(format!("{}/oauth/token", self.settings.login_url))
            .basic_auth(id, Some(secret))
            .header(reqwest::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body("grant_type=client_credentials");
        let request = match request.build() {
            Ok(request) => request,
            Err(error) => return TokenAnswer::Failed { problem: chain(error), wait: None },
        };
        let header = request.headers().get(reqwest::header::AUTHORIZATION).cloned();
        let mut response = match self.http.execute(request).await {
            Ok(response) => response,
            Err(error) => return TokenAnswer::Failed { problem: chain(error), wait: None },
        };
        let mut body = Vec::new();
        while let Ok(Some(chunk)) = response.chunk().await {
            if body.len() + chunk.len() > TOKEN_RESPONSE_BYTES_MAX {
                break;
            }
            body.extend_from_slice(&chunk);
        }
        let text = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        let wait = Evidence::read(text, &body, Clock::epoch_ms_now()).wait().map(|wait| wait.span);
        let header = header.as_ref().and_then(|value| value.to_str().ok()).unwrap_or_default();
        let basic = header.strip_prefix("Basic ").unwrap_or(header);
        interpret(response.status().as_u16(), &body, wait, &[secret, basic])
    }
}

/// What the login host's answer means. A host that repeats one of the `secrets` is not quoted.
fn interpret(status: u16, body: &[u8], wait: Option<Duration>, secrets: &[&str]) -> TokenAnswer {
    if (200..300).contains(&status) {
        return match serde_json::from_slice::<Granted>(body) {
            Ok(granted) if !granted.access_token.is_empty() => {
                let life = granted.expires_in.filter(|seconds| seconds.is_finite() && *seconds > 0.0);
                TokenAnswer::granted(
                    &granted.access_token,
                    life.map(|life| Duration::from_secs_f64(life.clamp(LIFE_MIN_S, LIFE_MAX_S))),
                )
            }
            _ => {
                TokenAnswer::Failed { problem: "the login host's answer holds no access_token".to_owned(), wait: None }
            }
        };
    }
    let refused: Refused = serde_json::from_slice(body).unwrap_or_default();
    let description = if refused.description.is_empty() { &refused.error_description } else { &refused.description };
    let told = format!("{} {description}", refused.error);
    let tells_secret = secrets.iter().any(|secret| !secret.is_empty() && told.contains(secret));
    let told = if tells_secret { "(its words hold a secret)" } else { told.trim() };
    let problem = format!("the login host answered {status} {told}");
    let problem: String = problem.trim().chars().filter(|char| !char.is_control()).take(256).collect();
    match status {
        400 if description.to_ascii_lowercase().starts_with(THROTTLED) => TokenAnswer::Failed { problem, wait },
        400 | 401 | 403 => TokenAnswer::Refused(problem),
        _ => TokenAnswer::Failed { problem, wait },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, reason = "a test says what it expects")]
    use super::*;

    fn kind(status: u16, body: &str) -> &'static str {
        match interpret(status, body.as_bytes(), None, &[]) {
            TokenAnswer::Granted { .. } => "granted",
            TokenAnswer::Refused(_) => "refused",
            TokenAnswer::Failed { .. } => "failed",
        }
    }

    #[test]
    fn answers_of_the_login_host() {
        for (status, body, expected) in [
            (200, r#"{"access_token":"t","token_type":"bearer","expires_in":86399}"#, "granted"),
            (200, r#"{"access_token":"t","expires_in":-1}"#, "granted"),
            (200, r#"{"access_token":""}"#, "failed"),
            (200, "<html>", "failed"),
            (400, r#"{"error":"invalid_request","description":"rate limit exceeded; wait"}"#, "failed"),
            (400, r#"{"error":"invalid_client","description":"client not found"}"#, "refused"),
            (401, "", "refused"),
            (403, "{}", "refused"),
            (404, "", "failed"),
            (500, "", "failed"),
            (200, "{\"access_token\":\"a\\nb\"}", "refused"),
        ] {
            assert_eq!(kind(status, body), expected, "{status} {body}");
        }
    }
    #[test]
    fn a_life_is_believed_within_limits() {
        for (told, seconds) in
            [("1e-9", Some(0.001)), ("86399", Some(86_399.0)), ("1e300", Some(172_800.0)), ("0", None)]
        {
            let body = format!(r#"{{"access_token":"t","expires_in":{told}}}"#);
            let TokenAnswer::Granted { lifetime, .. } = interpret(200, body.as_bytes(), None, &[]) else {
                panic!("{told}")
            };
            assert_eq!(lifetime.map(|life| life.as_secs_f64()), seconds, "{told}");
        }
    }

    #[test]
    fn a_login_host_that_repeats_a_secret_is_not_quoted() {
        let problem = |description: &str| {
            let body = format!(r#"{{"error":"invalid_client","description":"{description}"}}"#);
            match interpret(401, body.as_bytes(), None, &["hunter2", "aWQ6aHVudGVyMg=="]) {
                TokenAnswer::Refused(problem) => problem,
                _ => String::new(),
            }
        };
        assert_eq!(problem("no such client"), "the login host answered 401 invalid_client no such client");
        for description in ["got hunter2", "got Basic aWQ6aHVudGVyMg=="] {
            assert_eq!(problem(description), "the login host answered 401 (its words hold a secret)");
        }
    }
}
