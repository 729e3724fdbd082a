//! The headers by which servers and gateways tell a client about its quota.

use std::borrow::Cow;
use std::fmt::Write;

use crate::config::{HeaderFamily, ResetFormat};
use crate::limit::{Decision, Standing};

/// Header fields, names in lower case.
pub type Headers = Vec<(Cow<'static, str>, String)>;

/// Adds the family's headers; none when there is no quota. `epoch_us` is the wall clock since 1970.
pub(crate) fn write(
    headers: &mut Headers,
    family: HeaderFamily,
    format: ResetFormat,
    decision: &Decision,
    epoch_us: u64,
) {
    let Some(tightest) = decision.tightest() else { return };
    match family {
        HeaderFamily::X => {
            headers.push(("x-ratelimit-limit".into(), tightest.requests.to_string()));
            headers.push(("x-ratelimit-remaining".into(), tightest.remaining.to_string()));
            let reset = match format {
                ResetFormat::Seconds => seconds(tightest.reset_us),
                ResetFormat::Unix => seconds(epoch_us + tightest.reset_us),
            };
            headers.push(("x-ratelimit-reset".into(), reset.to_string()));
        }
        HeaderFamily::Inin => {
            headers.push(("inin-ratelimit-count".into(), (tightest.requests - tightest.remaining).to_string()));
            headers.push(("inin-ratelimit-allowed".into(), tightest.requests.to_string()));
            headers.push(("inin-ratelimit-reset".into(), seconds(tightest.reset_us).to_string()));
        }
        HeaderFamily::Ietf => {
            let policy = list(decision, |s| format!("q={};w={}", s.requests, seconds(s.per_us)));
            headers.push(("ratelimit-policy".into(), policy));
            headers
                .push(("ratelimit".into(), list(decision, |s| format!("r={};t={}", s.remaining, seconds(s.reset_us)))));
        }
        HeaderFamily::IetfLegacy => {
            headers.push(("ratelimit-limit".into(), tightest.requests.to_string()));
            headers.push(("ratelimit-remaining".into(), tightest.remaining.to_string()));
            headers.push(("ratelimit-reset".into(), seconds(tightest.reset_us).to_string()));
        }
        HeaderFamily::None => {}
    }
}

/// A structured list with an item for each quota: "default", "quota-2", "quota-3" …
fn list(decision: &Decision, parameters: impl Fn(&Standing) -> String) -> String {
    let mut text = String::new();
    for (index, standing) in decision.standings.iter().enumerate() {
        // Writing to a String can't fail.
        let _ = match index {
            0 => write!(text, "\"default\";{}", parameters(standing)),
            _ => write!(text, ", \"quota-{}\";{}", index + 1, parameters(standing)),
        };
    }
    text
}

/// Whole seconds, rounded up: a client that waits for them doesn't come too early.
fn seconds(us: u64) -> u64 {
    us.div_ceil(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(family: HeaderFamily, format: ResetFormat, decision: &Decision) -> Vec<String> {
        let mut headers = Headers::new();
        write(&mut headers, family, format, decision, 1_700_000_000_200_000);
        headers.into_iter().map(|(name, value)| format!("{name}: {value}")).collect()
    }

    fn second(remaining: u64) -> Standing {
        Standing { requests: 100, per_us: 1_000_000, remaining, reset_us: 400_001, wait_us: 0 }
    }

    #[test]
    fn every_family() {
        let one = Decision { wait_us: 0, standings: vec![second(42)] };
        let cases: [(HeaderFamily, ResetFormat, &[&str]); 6] = [
            (
                HeaderFamily::X,
                ResetFormat::Seconds,
                &["x-ratelimit-limit: 100", "x-ratelimit-remaining: 42", "x-ratelimit-reset: 1"],
            ),
            (
                HeaderFamily::X,
                ResetFormat::Unix,
                &["x-ratelimit-limit: 100", "x-ratelimit-remaining: 42", "x-ratelimit-reset: 1700000001"],
            ),
            (
                HeaderFamily::Inin,
                ResetFormat::Unix,
                &["inin-ratelimit-count: 58", "inin-ratelimit-allowed: 100", "inin-ratelimit-reset: 1"],
            ),
            (
                HeaderFamily::Ietf,
                ResetFormat::Seconds,
                &["ratelimit-policy: \"default\";q=100;w=1", "ratelimit: \"default\";r=42;t=1"],
            ),
            (
                HeaderFamily::IetfLegacy,
                ResetFormat::Seconds,
                &["ratelimit-limit: 100", "ratelimit-remaining: 42", "ratelimit-reset: 1"],
            ),
            (HeaderFamily::None, ResetFormat::Seconds, &[]),
        ];
        for (family, format, expected) in cases {
            assert_eq!(lines(family, format, &one), expected, "{family:?}");
        }
    }

    #[test]
    fn several_quotas_the_tightest_or_all() {
        let minute = Standing { requests: 300, per_us: 60_000_000, remaining: 3, reset_us: 59_000_000, wait_us: 0 };
        let both = Decision { wait_us: 0, standings: vec![second(42), minute] };
        assert_eq!(
            lines(HeaderFamily::X, ResetFormat::Seconds, &both),
            ["x-ratelimit-limit: 300", "x-ratelimit-remaining: 3", "x-ratelimit-reset: 59"]
        );
        assert_eq!(
            lines(HeaderFamily::Ietf, ResetFormat::Seconds, &both),
            [
                "ratelimit-policy: \"default\";q=100;w=1, \"quota-2\";q=300;w=60",
                "ratelimit: \"default\";r=42;t=1, \"quota-2\";r=3;t=59"
            ]
        );
    }

    #[test]
    fn no_quota_no_headers() {
        let none = Decision { wait_us: 0, standings: Vec::new() };
        assert!(lines(HeaderFamily::X, ResetFormat::Seconds, &none).is_empty());
    }
}
