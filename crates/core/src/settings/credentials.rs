//! How access tokens are obtained.

use std::fmt;

use serde_json::Value;

use super::reader::Reader;
use crate::error::Error;

/// Where an access token comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSource {
    /// How it is obtained.
    pub credentials: Credentials,
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

pub(super) fn read(root: &Reader<'_>) -> Result<Vec<TokenSource>, Error> {
    let rule = "{ clientId, clientSecret } or { accessToken }";
    // Whatever stands here instead of an object may be the secret itself: it is not repeated.
    let object = match root.value("credentials") {
        Some(Value::Object(fields)) if !fields.contains_key("$js") => root.section("credentials")?,
        _ => return Err(root.refuse_secret("credentials", rule)),
    };
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
            return Err(root.refuse_secret("credentials", format_args!("{rule}, none of which is undefined")));
        }
        _ => return Err(root.refuse_secret("credentials", rule)),
    };
    object.finish()?;
    Ok(vec![TokenSource { credentials: found }])
}
