//! The quota, as it is set: rates that are known, or what to learn them by.

use std::num::NonZeroU32;
use std::time::Duration;

use serde_json::Value;

use super::DAY_MS;
use super::reader::Reader;
use crate::error::Error;

/// A quota: N requests per window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests that may arrive in any rolling window.
    pub requests: NonZeroU32,
    /// The window.
    pub per: Duration,
    /// Requests that may leave at once.
    pub burst: NonZeroU32,
}

/// Where learning a quota begins, and between which rates it stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Learn {
    /// Believed until something is learned.
    pub start: Rate,
    /// Never less than this.
    pub floor: Rate,
    /// Never more than this, whatever a server says.
    pub ceiling: Rate,
    /// Asks for the organization's limits at the start.
    pub read_limits: bool,
}

/// The setting `rateLimit`: rates, or what to learn them by.
pub(super) struct RateLimit {
    pub(super) rates: Vec<Rate>,
    pub(super) learn: Option<Learn>,
}

pub(super) fn read(root: &Reader<'_>) -> Result<RateLimit, Error> {
    const WINDOWS_MAX: usize = 8;
    let rule = "\"learn\", { requests, perMs }, a list of 1 to 8 of them, or { learn: true, start?, floor?, ceiling?, readLimits? }";
    let known = |rates| Ok(RateLimit { rates, learn: None });
    // Where Genesys Cloud is, there are its limits; what else answers may not know the path.
    let in_region = root.value("region").is_some();
    match root.value("rateLimit") {
        Some(Value::String(word)) if word == "learn" => learn(&root.empty("rateLimit")?, in_region),
        Some(one @ Value::Object(_)) if one.get("learn").is_some() => {
            let object = root.section("rateLimit")?;
            if object.value("learn") != Some(&Value::Bool(true)) {
                return Err(object.refuse("learn", "true; leave it out with { requests, perMs }"));
            }
            let read = learn(&object, in_region)?;
            object.finish()?;
            Ok(read)
        }
        Some(one @ Value::Object(_)) if one.get("$js").is_none() => known(vec![rate(root.section("rateLimit")?)?]),
        Some(Value::Array(list)) if (1..=WINDOWS_MAX).contains(&list.len()) => {
            root.note("rateLimit", format_args!("{} windows", list.len()));
            let read = |(index, value)| rate(root.element("rateLimit", index, value)?);
            known(list.iter().enumerate().map(read).collect::<Result<_, _>>()?)
        }
        _ => Err(root.refuse("rateLimit", rule)),
    }
}

/// The setting `organizationLimit`: rates that hold over the tokens of all clients together.
pub(super) fn read_organization(root: &Reader<'_>) -> Result<Vec<Rate>, Error> {
    const WINDOWS_MAX: usize = 8;
    let are_listed = matches!(root.value("credentials"), Some(Value::Array(_)));
    match root.value("organizationLimit") {
        None => Ok(Vec::new()),
        Some(_) if !are_listed => {
            Err(root.refuse("organizationLimit", "left out where credentials is not a list: rateLimit is all there is"))
        }
        Some(one @ Value::Object(_)) if one.get("$js").is_none() => Ok(vec![rate(root.section("organizationLimit")?)?]),
        Some(Value::Array(list)) if (1..=WINDOWS_MAX).contains(&list.len()) => {
            root.note("organizationLimit", format_args!("{} windows", list.len()));
            let read = |(index, value)| rate(root.element("organizationLimit", index, value)?);
            list.iter().enumerate().map(read).collect()
        }
        Some(_) => Err(root.refuse("organizationLimit", "{ requests, perMs } or a list of 1 to 8 of them")),
    }
}

/// The defaults: what Genesys Cloud allows an access token of client credentials (300 requests a minute), one request a
/// minute, and five times the most that it documents for any endpoint (12,000 a minute).
fn learn(object: &Reader<'_>, in_region: bool) -> Result<RateLimit, Error> {
    object.note("learn", true);
    let start = learn_rate(object, "start", 300, 60_000)?;
    let floor = learn_rate(object, "floor", 1, 60_000)?;
    let ceiling = learn_rate(object, "ceiling", 1_000, 1_000)?;
    let per_second = |rate: Rate| f64::from(rate.requests.get()) / rate.per.as_secs_f64();
    if per_second(floor) > per_second(ceiling) {
        return Err(object.refuse("floor", "at most the rate of the ceiling"));
    }
    if !(per_second(floor)..=per_second(ceiling)).contains(&per_second(start)) {
        return Err(object.refuse("start", "a rate from the floor to the ceiling"));
    }
    let read_limits = object.boolean("readLimits", in_region)?;
    Ok(RateLimit { rates: Vec::new(), learn: Some(Learn { start, floor, ceiling, read_limits }) })
}

fn learn_rate(object: &Reader<'_>, key: &'static str, requests: u64, per_ms: u64) -> Result<Rate, Error> {
    if object.value(key).is_some() {
        return rate(object.section(key)?);
    }
    object.note(key, format_args!("{requests} per {per_ms} ms"));
    Ok(Rate { requests: count(requests), per: Duration::from_millis(per_ms), burst: count(requests) })
}

pub(super) fn rate(object: Reader<'_>) -> Result<Rate, Error> {
    const REQUESTS_MAX: u64 = 1_000_000;
    let requests = object.integer_required("requests", 1..=REQUESTS_MAX)?;
    let per_ms = object.integer_required("perMs", 1..=DAY_MS)?;
    let burst = object.integer("burst", 1..=requests, requests)?;
    if burst == requests {
        // It differs with the requests then, and the requests are what the caller wrote.
        object.note("burst", "requests");
    }
    object.finish()?;
    Ok(Rate { requests: count(requests), per: Duration::from_millis(per_ms), burst: count(burst) })
}

fn count(number: u64) -> NonZeroU32 {
    u32::try_from(number).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN)
}
