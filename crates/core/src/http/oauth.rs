//! Access tokens by the client credentials grant
//! (<https://developer.genesys.cloud/authorization/platform-auth/use-client-credentials>).

use std::time::Duration;

use reqwest::header::HeaderValue;
use serde_json::value::RawValue;

use super::limit::elapsed;
use super::quote::quote;
use super::{Client, chain};
use crate::clock::Clock;
use crate::evidence::Evidence;
use crate::json::{self, string};
use crate::settings::Credentials;
use crate::token::TokenId;

/// The largest answer of the login host that is read.
const TOKEN_RESPONSE_BYTES_MAX: usize = 65_536;
/// Lives of tokens that are believed, in seconds: a shorter one would be over before it is used, and the next asked for
/// at once.
const LIFE_MIN_S: f64 = 0.001;
const LIFE_MAX_S: f64 = 172_800.0;
/// How Genesys says "too many tokens": a 400 whose description starts so.
const THROTTLED: &str = "rate limit exceeded";
/// What OAuth calls credentials that will not do (RFC 6749, 4.1.2.1 and 5.2). A refusal in other words is not known to
/// come from the login host: a firewall or a page of maintenance says 400 and 403, too.
const REFUSALS: [&str; 6] = [
    "invalid_client",
    "unauthorized_client",
    "invalid_grant",
    "access_denied",
    "unsupported_grant_type",
    "invalid_scope",
];

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
            Err(_) => Self::Failed {
                problem: "the access token has characters that a header can't carry".to_owned(),
                wait: None,
            },
        }
    }
}

impl Client {
    /// Asks the login host for a token. `Credentials::Callback` is answered by the caller, not here.
    pub async fn token(&self, token: TokenId) -> TokenAnswer {
        match &self.settings.tokens[token.index()].credentials {
            Credentials::Token(token) => TokenAnswer::given(token),
            Credentials::Client { id, secret } => {
                let timeout = self.settings.connections.request_timeout;
                // Its connection counts among those of the process, and it may have to wait for its place.
                let _place = self.connections.place().await;
                tokio::select! {
                    biased;
                    answer = self.mint(id, secret) => answer,
                    () = elapsed(self.connections.clock(), timeout) => TokenAnswer::Failed {
                        problem: format!("the login host did not answer within {} ms", timeout.as_millis()),
                        wait: None,
                    },
                }
            }
            Credentials::Callback => {
                TokenAnswer::Failed { problem: "no accessToken function is left".to_owned(), wait: None }
            }
        }
    }

    async fn mint(&self, id: &str, secret: &str) -> TokenAnswer {
        let client = match self.clients.plain() {
            Ok(client) => client,
            Err(problem) => return TokenAnswer::Failed { problem, wait: None },
        };
        let request = client
            .post(format!("{}/oauth/token", self.settings.login_url))
            .basic_auth(id, Some(secret))
            .header(reqwest::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body("grant_type=client_credentials");
        let request = match request.build() {
            Ok(request) => request,
            Err(error) => return TokenAnswer::Failed { problem: chain(error), wait: None },
        };
        let header = request.headers().get(reqwest::header::AUTHORIZATION).cloned();
        let mut response = match client.execute(request).await {
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

/// What the login host's answer means. Of its words, only those are quoted that can't be one of the `secrets`.
fn interpret(status: u16, body: &[u8], wait: Option<Duration>, secrets: &[&str]) -> TokenAnswer {
    if (200..300).contains(&status) {
        let [token, life] = read_fields(body, ["access_token", "expires_in"]);
        return match token.as_deref().and_then(string) {
            Some(token) if !token.is_empty() => {
                let number = |life: &RawValue| string(life).unwrap_or_else(|| life.get().to_owned());
                let life = life.and_then(|life| number(&life).parse::<f64>().ok());
                let life = life.filter(|seconds| seconds.is_finite() && *seconds > 0.0);
                let life = life.map(|life| Duration::from_secs_f64(life.clamp(LIFE_MIN_S, LIFE_MAX_S)));
                TokenAnswer::granted(&token, life)
            }
            _ => {
                let what = if is_page(body) { "a page of HTML" } else { "no access_token" };
                TokenAnswer::Failed { problem: format!("the login host answered {status} with {what}"), wait: None }
            }
        };
    }
    let words = read_fields(body, ["error", "description", "error_description"]);
    let [error, description, error_description] =
        words.map(|word| word.as_deref().and_then(string).unwrap_or_default());
    let description = if description.is_empty() { error_description } else { description };
    let told = format!("{error} {description}");
    let told = if is_page(body) { "with a page of HTML".to_owned() } else { quote(&told, secrets) };
    let problem = format!("the login host answered {status} {told}").trim_end().to_owned();
    let is_known = REFUSALS.iter().any(|refusal| refusal.eq_ignore_ascii_case(error.trim()));
    let is_throttled = description.to_ascii_lowercase().starts_with(THROTTLED);
    // To a client and its secret, 401 needs no words.
    let is_unauthorized = status == 401 && !is_page(body);
    match status {
        400 | 401 | 403 if !is_throttled && (is_known || is_unauthorized) => TokenAnswer::Refused(problem),
        _ => TokenAnswer::Failed { problem, wait },
    }
}

/// Whether somebody else has answered than the login host, whose answers are JSON.
fn is_page(body: &[u8]) -> bool {
    json::text_of(body).trim_start_matches('\u{feff}').trim_start().starts_with('<')
}

/// These fields of the login host's answer, unread.
fn read_fields<const N: usize>(body: &[u8], names: [&str; N]) -> [Option<Box<RawValue>>; N] {
    let text = json::text_of(body);
    let found = json::raw(&text).and_then(|answer| json::fields(answer, names)).unwrap_or([None; N]);
    found.map(|value| value.map(ToOwned::to_owned))
}

#[cfg(test)]
#[path = "../../tests/fuzz/oauth.rs"]
mod fuzz;

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
            (200, "\u{feff}{\"access_token\":\"t\"}", "granted"),
            (200, r#"{"access_token":""}"#, "failed"),
            (200, "<html>", "failed"),
            // Nothing that is not asked for hides the token.
            (200, r#"{"\ud83d":"\ud83d","n":1e400,"access_token":"t","expires_in":1e400}"#, "granted"),
            (200, "\u{feff}{\"access_token\":\"t\",\"expires_in\":\"soon\"}", "granted"),
            (200, r#"{"access_token":"\ud83d"}"#, "failed"),
            (400, r#"{"error":"invalid_client","error_description":"\ud83d","n":1e400}"#, "refused"),
            (400, r#"{"description":"rate limit exceeded","n":1e400}"#, "failed"),
            (400, r#"{"error":"invalid_request","description":"rate limit exceeded; wait"}"#, "failed"),
            (400, r#"{"error":"invalid_client","description":"client not found"}"#, "refused"),
            (401, "", "refused"),
            (401, "{}", "refused"),
            (401, "<html><h1>401 Authorization Required</h1></html>", "failed"),
            (403, "{}", "failed"),
            (403, r#"{"error":"unauthorized_client","description":"disabled"}"#, "refused"),
            (403, " <!DOCTYPE html><h1>Request blocked</h1>", "failed"),
            (403, r#"{"message":"Forbidden"}"#, "failed"),
            (400, "", "failed"),
            (400, "<html>Bad Request</html>", "failed"),
            (400, r#"{"message":"bad request"}"#, "failed"),
            (400, r#"{"error":"invalid_request","description":"something"}"#, "failed"),
            (400, r#"{"error":"Invalid_Client"}"#, "refused"),
            (400, r#"{"error":"unsupported_grant_type"}"#, "refused"),
            (401, r#"{"error":"invalid_request","description":"Rate limit exceeded; wait"}"#, "failed"),
            (302, r#"{"error":"invalid_client"}"#, "failed"),
            (407, "", "failed"),
            (429, r#"{"error":"invalid_client"}"#, "failed"),
            (404, "", "failed"),
            (500, "", "failed"),
            (200, "{\"access_token\":\"a\\nb\"}", "failed"),
        ] {
            assert_eq!(kind(status, body), expected, "{status} {body}");
        }
    }
    #[test]
    fn a_life_is_believed_within_limits() {
        for (told, seconds) in [
            ("1e-9", Some(0.001)),
            ("86399", Some(86_399.0)),
            (r#""86399""#, Some(86_399.0)),
            (r#""soon""#, None),
            ("1e300", Some(172_800.0)),
            ("0", None),
        ] {
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
        assert_eq!(problem("got hunter2"), "the login host answered 401 invalid_client got …");
        assert_eq!(problem("got Basic aWQ6aHVudGVyMg=="), "the login host answered 401 invalid_client got Basic …");
    }
}
