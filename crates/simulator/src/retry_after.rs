//! The eight forms of `Retry-After` that servers and gateways have been seen to send.

use std::time::{Duration, UNIX_EPOCH};

use crate::config::RetryAfter;

const HOUR_US: u64 = 3_600_000_000;

/// The header's value for a request that may come again in `wait_us`; `epoch_us` is the wall clock since 1970.
pub(crate) fn value(form: RetryAfter, wait_us: u64, epoch_us: u64) -> Option<String> {
    match form {
        RetryAfter::Right => Some(seconds(wait_us).to_string()),
        RetryAfter::Zero => Some("0".to_owned()),
        // Dates have whole seconds: rounded up, or the client would come back too early.
        RetryAfter::Date => Some(date((epoch_us + wait_us).div_ceil(1_000_000))),
        RetryAfter::Past => Some(date(epoch_us.saturating_sub(HOUR_US) / 1_000_000)),
        RetryAfter::Absurd => Some("99999999999".to_owned()),
        RetryAfter::Negative => Some("-5".to_owned()),
        RetryAfter::Garbage => Some("soon".to_owned()),
        RetryAfter::Missing => None,
    }
}

/// The wait in whole seconds, rounded up; at least 1.
pub(crate) fn seconds(wait_us: u64) -> u64 {
    wait_us.div_ceil(1_000_000).max(1)
}

fn date(epoch_s: u64) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(epoch_s))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form() {
        // 1994-11-06 08:49:37.250 GMT
        let epoch_us = 784_111_777_250_000;
        let cases = [
            (RetryAfter::Right, 41_000_001, Some("42")),
            (RetryAfter::Right, 1, Some("1")),
            (RetryAfter::Right, 0, Some("1")),
            (RetryAfter::Zero, 41_000_001, Some("0")),
            (RetryAfter::Date, 3_000_000, Some("Sun, 06 Nov 1994 08:49:41 GMT")),
            (RetryAfter::Date, 2_750_000, Some("Sun, 06 Nov 1994 08:49:40 GMT")),
            (RetryAfter::Past, 3_000_000, Some("Sun, 06 Nov 1994 07:49:37 GMT")),
            (RetryAfter::Absurd, 3_000_000, Some("99999999999")),
            (RetryAfter::Negative, 3_000_000, Some("-5")),
            (RetryAfter::Garbage, 3_000_000, Some("soon")),
            (RetryAfter::Missing, 3_000_000, None),
        ];
        for (form, wait_us, expected) in cases {
            assert_eq!(value(form, wait_us, epoch_us).as_deref(), expected, "{form:?}");
        }
    }
}
