//! OAuth client credentials: who gets a token, and until when it is accepted.

use std::collections::HashMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::answer;
use crate::config::Config;
use crate::limit::Limit;
use crate::random::Chance;
use crate::request::Request;

/// How the tokens of this server start; so it knows those that it has forgotten for expired ones.
const PREFIX: &str = "simulated-";
/// The most tokens that are remembered at once; when there are more, the expired ones are forgotten first, then all.
const TOKENS_MAX: usize = 10_000;

/// The tokens of one server.
#[derive(Debug)]
pub(crate) struct Tokens {
    expires_at_us: HashMap<String, u64>,
    throttle: Limit,
    chance: Chance,
}

/// A token request's answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Minting {
    /// 200 with this body.
    Issued(String),
    /// An error with its status and body.
    Refused(u16, String),
}

impl Tokens {
    pub(crate) fn new(config: &Config, chance: Chance) -> Self {
        Self { expires_at_us: HashMap::new(), throttle: throttle(config), chance }
    }

    /// A new throttle, with nothing spent.
    pub(crate) fn set_throttle(&mut self, config: &Config) {
        self.throttle = throttle(config);
    }

    /// Answers a token request.
    pub(crate) fn mint(&mut self, now_us: u64, config: &Config, request: &Request<'_>) -> Minting {
        let refused = |status, error, text: &str| Minting::Refused(status, answer::oauth_error(error, text));
        if !self.throttle.arrive(now_us) {
            let seconds = self.throttle.wait_us(now_us).div_ceil(1_000_000);
            return refused(400, "invalid_request", &format!("rate limit exceeded; retry in {seconds} seconds"));
        }
        let form = Form::read(request);
        if form.grant_type.as_deref() != Some("client_credentials") {
            return refused(400, "unsupported_grant_type", "only client_credentials is supported");
        }
        let (Some(id), Some(secret)) = (form.client_id, form.client_secret) else {
            return refused(400, "invalid_client", "client credentials are missing");
        };
        if let Some(known) = &config.credentials {
            if known.id != id {
                return refused(400, "invalid_client", "client not found");
            }
            if known.secret != secret {
                return refused(401, "invalid_client", "authentication failed");
            }
        }
        if self.expires_at_us.len() >= TOKENS_MAX {
            self.expires_at_us.retain(|_, expires_at_us| *expires_at_us > now_us);
            if self.expires_at_us.len() >= TOKENS_MAX {
                self.expires_at_us.clear();
            }
        }
        let token = format!("{PREFIX}{}", self.chance.uuid());
        let body = answer::token(&token, config.token_life_us);
        self.expires_at_us.insert(token, now_us + config.token_life_us);
        Minting::Issued(body)
    }

    /// The token of an API request when it is accepted now; with `authRequired: false` possibly an empty one.
    pub(crate) fn accept<'a>(&self, now_us: u64, config: &Config, authorization: Option<&'a str>) -> Option<&'a str> {
        let token = authorization.and_then(|text| text.strip_prefix("Bearer ").or(text.strip_prefix("bearer ")));
        if !config.auth_required {
            return Some(token.unwrap_or_default());
        }
        let token = token.filter(|token| !token.is_empty())?;
        let foreign = !token.starts_with(PREFIX) && config.credentials.is_none();
        let alive = self.expires_at_us.get(token).is_some_and(|expires_at_us| *expires_at_us > now_us);
        (foreign || alive).then_some(token)
    }
}

fn throttle(config: &Config) -> Limit {
    Limit::new(config.token_throttle.as_slice())
}

/// The fields of a token request; the credentials come in the form or as basic authentication.
#[derive(Default)]
struct Form {
    grant_type: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
}

impl Form {
    fn read(request: &Request<'_>) -> Self {
        let mut form = Self::default();
        for pair in request.body.split(|byte| *byte == b'&') {
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let (name, value) = (halves.next().unwrap_or_default(), halves.next().unwrap_or_default());
            let field = match name {
                b"grant_type" => &mut form.grant_type,
                b"client_id" => &mut form.client_id,
                b"client_secret" => &mut form.client_secret,
                _ => continue,
            };
            let spaced: Vec<u8> = value.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
            *field = Some(percent_encoding::percent_decode(&spaced).decode_utf8_lossy().into_owned());
        }
        if let Some((id, secret)) = request.authorization.and_then(basic) {
            (form.client_id, form.client_secret) = (Some(id), Some(secret));
        }
        form
    }
}

fn basic(authorization: &str) -> Option<(String, String)> {
    let (scheme, encoded) = authorization.split_once(' ')?;
    let decoded = scheme.eq_ignore_ascii_case("basic").then(|| BASE64_STANDARD.decode(encoded.trim()).ok())??;
    let (id, secret) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}
