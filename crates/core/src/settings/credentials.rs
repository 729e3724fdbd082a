//! How access tokens are obtained.

use std::fmt;

use serde_json::Value;

use super::reader::Reader;
use crate::error::Error;
use crate::token::TOKENS_MAX;

const NAME_BYTES_MAX: usize = 64;
const RULE: &str = "{ clientId, clientSecret } or { accessToken }";

/// Where an access token comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSource {
    /// What events and numbers call it where there are several: as it was named, or its place in the list.
    pub name: Box<str>,
    /// How it is obtained.
    pub credentials: Credentials,
}

impl TokenSource {
    /// By which another run knows the client, whatever its place is then. It tells nothing of the secret.
    pub fn fingerprint(&self) -> u64 {
        const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
        const PRIME: u64 = 0x0100_0000_01b3;
        let id = match &self.credentials {
            Credentials::Client { id, .. } => id.as_str(),
            Credentials::Token(_) | Credentials::Callback => "",
        };
        // FNV-1a: unlike the standard library's hashes, it stays what it is.
        id.bytes().fold(OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
    }
}

/// How access tokens are obtained.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// OAuth client credentials grant.
    Client {
        /// Client id.
        id: String,
        /// Client secret.
        secret: String,
    },
    /// A token that the caller gave.
    Token(String),
    /// A function of the caller's gives a token whenever one is needed.
    Callback,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client { .. } => "Client(secret)",
            Self::Token(_) => "Token(secret)",
            Self::Callback => "Callback",
        })
    }
}

/// The credentials of one client, or of each in a list.
pub(super) fn read(root: &Reader<'_>) -> Result<Vec<TokenSource>, Error> {
    // Whatever stands here instead of an object may be the secret itself: it is not repeated.
    match root.value("credentials") {
        Some(Value::Array(list)) => read_list(root, list),
        Some(Value::Object(fields)) if !fields.contains_key("$js") => {
            Ok(vec![TokenSource { name: Box::default(), credentials: read_one(root)? }])
        }
        _ => Err(root.refuse_secret("credentials", format_args!("{RULE}, or a list of {{ clientId, clientSecret }}"))),
    }
}

fn read_one(root: &Reader<'_>) -> Result<Credentials, Error> {
    let object = root.section("credentials")?;
    let callback = object.value("accessToken").is_some_and(|value| value.get("$js") == Some(&"function".into()));
    let token = if callback { None } else { object.secret("accessToken", 16_384)? };
    let found = match (object.secret("clientId", 256)?, object.secret("clientSecret", 1_024)?, token) {
        (Some(id), Some(secret), None) if !callback => {
            Credentials::Client { id: id.to_owned(), secret: secret.to_owned() }
        }
        (None, None, Some(token)) => Credentials::Token(token.to_owned()),
        (None, None, None) if callback => Credentials::Callback,
        (Some(_), None, None) if !callback => {
            return Err(object.refuse_secret("clientSecret", "given with clientId"));
        }
        (None, Some(_), None) if !callback => {
            return Err(object.refuse_secret("clientId", "given with clientSecret"));
        }
        // Most often both come from environment variables that are not set.
        (None, None, None) => {
            return Err(root.refuse_secret("credentials", format_args!("{RULE}, none of which is undefined")));
        }
        _ => return Err(root.refuse_secret("credentials", RULE)),
    };
    object.finish()?;
    Ok(found)
}

/// Each client of the organization has a token, and each token a quota of its own.
fn read_list(root: &Reader<'_>, list: &[Value]) -> Result<Vec<TokenSource>, Error> {
    if !(1..=TOKENS_MAX).contains(&list.len()) {
        return Err(root.refuse_secret(
            "credentials",
            format_args!("{RULE}, or a list of 1 to {TOKENS_MAX} {{ clientId, clientSecret }}"),
        ));
    }
    let mut sources: Vec<TokenSource> = Vec::new();
    for (index, value) in list.iter().enumerate() {
        let source = read_element(root, index, value)?;
        let element = root.element("credentials", index, value)?;
        if sources.iter().any(|known| known.fingerprint() == source.fingerprint()) {
            return Err(element.refuse_secret("clientId", "another one than those before it"));
        }
        if sources.iter().any(|known| known.name == source.name) {
            return Err(element.refuse("name", format_args!("another one than those before it ({:?})", source.name)));
        }
        sources.push(source);
    }
    Ok(sources)
}

fn read_element(root: &Reader<'_>, index: usize, value: &Value) -> Result<TokenSource, Error> {
    if !value.is_object() || value.get("$js").is_some() {
        return Err(root.refuse_secret_element("credentials", index, value, "{ clientId, clientSecret, name? }"));
    }
    let object = root.element("credentials", index, value)?;
    if object.value("accessToken").is_some() {
        let rule = "left out in a list, which takes { clientId, clientSecret, name? }";
        return Err(object.refuse_secret("accessToken", rule));
    }
    let required = |key: &'static str, bytes_max: usize| {
        let rule = format_args!("a string of 1 to {bytes_max} visible ASCII characters").to_string();
        object.secret(key, bytes_max)?.map(str::to_owned).ok_or_else(|| object.refuse_secret(key, rule))
    };
    let (id, secret) = (required("clientId", 256)?, required("clientSecret", 1_024)?);
    let name = object.text("name", NAME_BYTES_MAX)?.map_or_else(|| (index + 1).to_string().into(), Into::into);
    object.finish()?;
    Ok(TokenSource { name, credentials: Credentials::Client { id, secret } })
}
