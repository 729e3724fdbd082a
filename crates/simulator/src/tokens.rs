//! OAuth client credentials: who gets a token, and until when it is accepted.

use std::collections::HashMap;
use std::sync::Arc;

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

/// A token that was issued.
#[derive(Debug)]
struct Issued {
    expires_at_us: u64,
    client: Arc<str>,
}

/// The tokens of one server.
#[derive(Debug)]
pub(crate) struct Tokens {
    tokens: HashMap<String, Issued>,
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
        Self { tokens: HashMap::new(), throttle: throttle(config), chance }
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
        let mut known = config.credentials.iter().chain(&config.clients).peekable();
        if known.peek().is_some() {
            let Some(known) = known.find(|known| known.id == id) else {
                return refused(400, "invalid_client", "client not found");
            };
            if known.secret != secret {
                return refused(401, "invalid_client", "authentication failed");
            }
        }
        if self.tokens.len() >= TOKENS_MAX {
            self.tokens.retain(|_, issued| issued.expires_at_us > now_us);
            if self.tokens.len() >= TOKENS_MAX {
                self.tokens.clear();
            }
        }
        let token = format!("{PREFIX}{}", self.chance.uuid());
        let body = answer::token(&token, config.token_life_us);
        let issued = Issued { expires_at_us: now_us + config.token_life_us, client: id.into() };
        self.tokens.insert(token, issued);
        Minting::Issued(body)
    }

    /// The token of an API request when it is accepted now; with `authRequired: false` possibly an empty one.
    pub(crate) fn accept<'a>(&self, now_us: u64, config: &Config, authorization: Option<&'a str>) -> Option<&'a str> {
        let token = authorization.and_then(|text| text.strip_prefix("Bearer ").or(text.strip_prefix("bearer ")));
        if !config.auth_required {
            return Some(token.unwrap_or_default());
        }
        let token = token.filter(|token| !token.is_empty())?;
        let foreign = !token.starts_with(PREFIX) && config.credentials.is_none() && config.clients.is_empty();
        let is_known = |client: &str| {
            let mut known = config.credentials.iter().chain(&config.clients);
            config.clients.is_empty() || known.any(|known| known.id == client)
        };
        let is_alive = |issued: &Issued| issued.expires_at_us > now_us && is_known(&issued.client);
        let alive = self.tokens.get(token).is_some_and(is_alive);
        (foreign || alive).then_some(token)
    }
}

impl Tokens {
    /// Whose token it is, if it was issued here.
    pub(crate) fn client(&self, token: &str) -> Option<Arc<str>> {
        self.tokens.get(token).map(|issued| Arc::clone(&issued.client))
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
