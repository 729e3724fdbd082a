//! `fleetOf`: a look at the budget that hosts share. For the command line, which is a process of its own: it may wait
//! for the answer.

use napi::Result;
use napi_derive::napi;
use spillway_core::error::Error;
use spillway_core::fleet::inspection::inspect;
use spillway_core::settings::RedisUrl;

use crate::errors::thrown;

/// What the store has of an organization, as JSON.
#[napi(catch_unwind)]
pub fn fleet_of(url: String, organization: String) -> Result<String> {
    let look = || {
        let url = RedisUrl::parse(&url).ok_or_else(|| Error::config("URL", format!("must be {}", RedisUrl::RULE)))?;
        inspect(&url, &organization)
    };
    let inspection = look().map_err(|error| thrown(&error))?;
    serde_json::to_string(&inspection).map_err(|error| napi::Error::from_reason(error.to_string()))
}
