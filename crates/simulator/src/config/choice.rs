//! Settings with a fixed set of names.

use serde::Deserialize;

/// How a quota is counted.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Hash)]
#[serde(rename_all = "kebab-case")]
pub enum Algorithm {
    /// Windows of `perMs`, aligned to the server's start; each has the whole quota.
    FixedWindow,
    /// Windows of `perMs`, each opened by the first request after the one before has ended; each has the whole quota.
    OpenedWindow,
    /// Never more than `requests` in any rolling `perMs`.
    SlidingLog,
    /// A bucket of `requests` tokens that refills evenly over `perMs`.
    TokenBucket,
}

/// Which headers tell the client about its quota.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Hash)]
#[serde(rename_all = "kebab-case")]
pub enum HeaderFamily {
    /// `X-RateLimit-Limit`, `-Remaining`, `-Reset`.
    X,
    /// `inin-ratelimit-count`, `-allowed`, `-reset`.
    Inin,
    /// `RateLimit-Policy` and `RateLimit` as structured fields.
    Ietf,
    /// `RateLimit-Limit`, `-Remaining`, `-Reset` of the older drafts.
    IetfLegacy,
    /// No headers.
    None,
}

/// Whose answers they are.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Hash)]
#[serde(rename_all = "kebab-case")]
pub enum AnswerStyle {
    /// A gateway's: quota headers, by default those of `x`.
    Gateway,
    /// Genesys Cloud's since November 2021: no quota headers by default, and a 429 names the limit of a token.
    Genesys,
}

/// How `X-RateLimit-Reset` tells the time; the other families always count seconds.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Hash)]
#[serde(rename_all = "kebab-case")]
pub enum ResetFormat {
    /// Seconds that are left.
    Seconds,
    /// Seconds since 1970.
    Unix,
}

/// What a 429 says in `Retry-After`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Hash)]
#[serde(rename_all = "kebab-case")]
pub enum RetryAfter {
    /// The seconds that are left, rounded up.
    Right,
    /// `0`, while the limit is still in force.
    Zero,
    /// The right moment as an HTTP date.
    Date,
    /// An HTTP date of an hour ago.
    Past,
    /// Thousands of years.
    Absurd,
    /// A number below zero.
    Negative,
    /// Neither a number nor a date.
    Garbage,
    /// No such header.
    Missing,
}

/// What goes wrong with an API request.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Hash)]
#[serde(rename_all = "camelCase")]
pub enum Fault {
    /// The connection is reset before the request counts: no arrival, no acceptance.
    CutBefore,
    /// The request is accepted, and the connection closes without a byte of the answer.
    CutAfter,
    /// 500, not accepted; spends quota.
    Status500,
    /// 502, not accepted; spends quota.
    Status502,
    /// 503, not accepted; spends quota.
    Status503,
    /// 504, not accepted; spends quota.
    Status504,
    /// 408, not accepted; spends quota.
    Status408,
    /// The request is accepted, and the answer is bytes that aren't HTTP.
    Garbage,
    /// The answer comes `slowMs` later.
    Slow,
    /// The request is accepted, and answered with 500.
    Status500After,
    /// The request is accepted, and answered with 502.
    Status502After,
    /// The request is accepted, and answered with 503.
    Status503After,
    /// The request is accepted, and answered with 504.
    Status504After,
    /// The request is accepted, and answered with 408.
    Status408After,
}

/// What goes wrong with every token request.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Hash)]
#[serde(rename_all = "camelCase")]
pub enum TokenFault {
    /// 500.
    Status500,
    /// The connection closes without an answer.
    Cut,
    /// The answer comes `faults.slowMs` later.
    Slow,
}

/// How a request that carries an array of messages is answered.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Hash)]
#[serde(rename_all = "kebab-case")]
pub enum ArrayAnswer {
    /// One status for all of them.
    Status,
    /// A list with a status for each.
    List,
}
