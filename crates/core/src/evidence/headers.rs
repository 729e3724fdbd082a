//! The windows that headers tell of, and `Retry-After`.

use std::time::Duration;

use super::span::{ServerTime, count, plain_number, wait};
use super::window::Window;
use super::{HeaderLimit, QUOTAS_MAX, Unnamed, structured};

/// Names of limit, rest, count and reset in each family of plain headers; none has all of them.
const FAMILIES: [[Option<&str>; 4]; 4] = [
    [Some("inin-ratelimit-allowed"), None, Some("inin-ratelimit-count"), Some("inin-ratelimit-reset")],
    [Some("x-ratelimit-limit"), Some("x-ratelimit-remaining"), None, Some("x-ratelimit-reset")],
    [Some("x-rate-limit-limit"), Some("x-rate-limit-remaining"), None, Some("x-rate-limit-reset")],
    [Some("ratelimit-limit"), Some("ratelimit-remaining"), None, Some("ratelimit-reset")],
];

/// Windows that headers name at their ends: limit, rest, seconds.
const NAMED_WINDOWS: [(&str, &str, u64); 4] = [
    ("x-ratelimit-limit-second", "x-ratelimit-remaining-second", 1),
    ("x-ratelimit-limit-minute", "x-ratelimit-remaining-minute", 60),
    ("x-ratelimit-limit-hour", "x-ratelimit-remaining-hour", 3_600),
    ("x-ratelimit-limit-day", "x-ratelimit-remaining-day", 86_400),
];

const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// The windows of an answer: those of each plain family that the answer has, then the IETF's.
pub(super) struct Windows {
    families: Vec<Vec<Window>>,
}

impl Windows {
    pub(super) fn read<'a>(header: &impl Fn(&str) -> Option<&'a str>, time: ServerTime) -> Self {
        let mut families: Vec<Vec<Window>> =
            FAMILIES.iter().map(|names| plain(names.map(|name| name.and_then(header)), time)).collect();
        families.push(named(header));
        let (policy, state) = (header("ratelimit-policy").unwrap_or_default(), header("ratelimit").unwrap_or_default());
        families.push(structured::windows(policy, state, time));
        families.retain(|windows| !windows.is_empty());
        Self { families }
    }

    pub(super) fn first_reset(&self) -> Option<Duration> {
        self.families.iter().flatten().find_map(|window| window.wait)
    }

    /// The wait after a refusal: all windows that have nothing left must end. Those that have something left didn't
    /// refuse. Of windows that don't tell, the shortest: a probe finds out whether it was another.
    pub(super) fn spent_reset(&self) -> Option<Duration> {
        let all = || self.families.iter().flatten();
        let is_spent = |window: &&Window| window.told.remaining == Some(0);
        if all().any(|window| is_spent(&window)) {
            return all().filter(is_spent).filter_map(|window| window.wait).max();
        }
        all().filter(|window| window.told.remaining.is_none()).filter_map(|window| window.wait).min()
    }

    /// What is left of the windows that the headers don't describe: when all of those end that have nothing left.
    pub(super) fn unnamed(&self) -> Unnamed {
        let unnamed = || self.families.iter().flatten().filter(|window| window.is_unnamed());
        let spent = || unnamed().filter(|window| window.told.remaining == Some(0));
        match spent().filter_map(Window::end).max() {
            Some(wait) if spent().all(|window| window.told.limit.is_some()) => Unnamed::Outlasting(wait),
            Some(wait) => Unnamed::Spent(wait),
            None if unnamed().any(|window| window.told.remaining.is_some_and(|left| left > 0)) => Unnamed::Left,
            None => Unnamed::Untold,
        }
    }

    /// What is counted, by the first family that says so. A list of several quotas says nothing certain.
    pub(super) fn used(&self) -> Option<u64> {
        self.families.iter().find_map(|windows| match windows[..] {
            [window] => window.used,
            _ => None,
        })
    }

    /// The quotas of the first family that names any.
    pub(super) fn into_quotas(self) -> Vec<HeaderLimit> {
        let has_limit = |windows: &Vec<Window>| windows.iter().any(|window| window.told.limit.is_some());
        let windows = self.families.into_iter().find(has_limit).unwrap_or_default();
        windows.into_iter().map(|window| window.told).collect()
    }
}

/// `Retry-After`: seconds, an HTTP date, or a Unix time; or the same in milliseconds by a name of its own. And whether
/// our own clock measured it.
pub(super) fn retry_after<'a>(header: &impl Fn(&str) -> Option<&'a str>, time: ServerTime) -> Option<(Duration, bool)> {
    // The fields are no lists, and of several lines HTTP says nothing (RFC 9110, 10.2.3). Each of the servers on the
    // way may have added its own: the longest wait is right for all of them.
    let in_ms = waits(header("retry-after-ms")).filter_map(|value| wait(plain_number(value)? / 1_000.0)).max();
    if let Some(wait) = in_ms {
        return Some((wait, false));
    }
    let until = |value: &str| {
        if let Some(wait) = time.wait_until(value) {
            return Some((wait, time.is_assumed));
        }
        let number = plain_number(value)?;
        Some((wait(time.seconds_until(number))?, time.is_assumed && ServerTime::is_absolute(number)))
    };
    waits(header("retry-after")).filter_map(until).max()
}

/// The values of several lines. The comma after a weekday is part of a date.
fn waits(lines: Option<&str>) -> impl Iterator<Item = &str> {
    let mut rest = lines;
    std::iter::from_fn(move || {
        let text = rest?;
        let mut commas = text.match_indices(',').map(|(at, _)| at);
        let begins_date = WEEKDAYS.iter().any(|day| text.trim_start().starts_with(day));
        let is_weekday = |at: usize| begins_date && text[..at].trim().bytes().all(|byte| byte.is_ascii_alphabetic());
        let end = match commas.next() {
            Some(at) if is_weekday(at) => commas.next(),
            first => first,
        };
        rest = end.map(|at| &text[at + 1..]);
        Some(text[..end.unwrap_or(text.len())].trim())
    })
}

/// The windows of a plain family: several where what is left, or the resets, are lists.
fn plain(values: [Option<&str>; 4], time: ServerTime) -> Vec<Window> {
    let [limits, rests, counts, resets] = values.map(|value| value.map(|value| value.split(',').map(str::trim)));
    let columns = [limits, rests, counts, resets].map(|column| column.map(Iterator::collect).unwrap_or_default());
    let [limits, rests, counts, resets]: [Vec<&str>; 4] = columns;
    let length = rests.len().max(counts.len()).max(resets.len());
    // A list of limits only is a limit, and its policies.
    let length = if length == 0 { limits.len().min(1) } else { length.min(QUOTAS_MAX) };
    let mut windows: Vec<Window> = Vec::new();
    for index in 0..length {
        let number = |column: &[&str]| column.get(index)?.split(';').next()?.trim().parse::<f64>().ok();
        let limit = number(&limits).and_then(count).filter(|limit| *limit > 0);
        let used = number(&counts).and_then(count);
        let left = || Some(limit?.saturating_sub(used?));
        let remaining = number(&rests).and_then(count).or_else(left);
        let told = HeaderLimit { limit, remaining, reset: None, per: None };
        let mut window = Window::new(told, number(&resets).map(|reset| time.end(reset)));
        window.used = used.or(window.used);
        // Two proxies may say the same.
        if window != Window::default() && !windows.contains(&window) {
            windows.push(window);
        }
    }
    windows
}

fn named<'a>(header: &impl Fn(&str) -> Option<&'a str>) -> Vec<Window> {
    let number = |name: &str| count(header(name)?.trim().parse().ok()?);
    let window = |(limit, rest, seconds): (&str, &str, u64)| {
        let (limit, remaining) = (number(limit).filter(|limit| *limit > 0), number(rest));
        let per = Some(Duration::from_secs(seconds));
        (limit.is_some() || remaining.is_some())
            .then(|| Window::new(HeaderLimit { limit, remaining, reset: None, per }, None))
    };
    NAMED_WINDOWS.into_iter().filter_map(window).collect()
}
