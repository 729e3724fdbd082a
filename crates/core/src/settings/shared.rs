//! `budget`: with whom the quota is shared.

use serde_json::Value;

use super::rate::{self, Rate, RateLimit};
use super::reader::Reader;
use super::redis_url::RedisUrl;
use crate::error::Error;

/// The quota is shared with all processes and hosts that name the same organization and Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shared {
    /// Where the shares are kept.
    pub url: RedisUrl,
    /// What this host may send when its lease is over and can't be renewed.
    pub when_unreachable: WhenUnreachable,
}

/// What a host does when its lease is over and the store can't be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenUnreachable {
    /// Send nothing until it can.
    Hold,
    /// Send at this rate, of its own.
    Static(Rate),
}

const UNREACHABLE_RULE: &str = "\"hold\" or { requests, perMs }";

pub(super) fn read(root: &Reader<'_>, limit: &RateLimit) -> Result<Option<Shared>, Error> {
    let unreachable = root.value("whenBudgetUnreachable");
    let Some(value) = root.value("budget") else {
        return match unreachable {
            None => Ok(None),
            Some(_) => Err(root.refuse("whenBudgetUnreachable", "left out where there is no budget")),
        };
    };
    // Not `text`, which would note the password.
    if matches!(root.value("credentials"), Some(Value::Array(_))) {
        let rule =
            "left out where credentials is a list: the budgets of several tokens cannot be shared between hosts yet";
        return Err(root.refuse("budget", rule));
    }
    let url = value.as_str().and_then(RedisUrl::parse).ok_or_else(|| root.refuse("budget", RedisUrl::RULE))?;
    root.note("budget", &url);
    if limit.learn.is_some() {
        return Err(root.refuse(
            "rateLimit",
            "{ requests, perMs } or a list of 1 to 8 of them where there is a budget (a shared quota cannot be learned yet)",
        ));
    }
    let when_unreachable = match unreachable {
        None => WhenUnreachable::Hold,
        Some(Value::String(word)) if word == "hold" => WhenUnreachable::Hold,
        Some(object @ Value::Object(_)) if object.get("$js").is_none() => {
            let share = rate::rate(root.section("whenBudgetUnreachable")?)?;
            let is_more = |quota: &Rate| {
                // requests / per, by cross-multiplication.
                u128::from(share.requests.get()) * quota.per.as_millis()
                    > u128::from(quota.requests.get()) * share.per.as_millis()
            };
            if limit.rates.iter().any(is_more) {
                return Err(
                    root.refuse("whenBudgetUnreachable", "at most the rate of rateLimit, which all hosts share")
                );
            }
            WhenUnreachable::Static(share)
        }
        Some(_) => return Err(root.refuse("whenBudgetUnreachable", UNREACHABLE_RULE)),
    };
    if when_unreachable == WhenUnreachable::Hold {
        root.note("whenBudgetUnreachable", "hold");
    }
    Ok(Some(Shared { url, when_unreachable }))
}
