//! The headers of the IETF's `draft-ietf-httpapi-ratelimit-headers`: `RateLimit-Policy` and `RateLimit`, as structured
//! fields (RFC 9651), and what earlier drafts wrote in them.

use std::borrow::Cow;
use std::time::Duration;

use sfv::{BareItem, Dictionary, Item, List, ListEntry, Parser};

use super::span::{ServerTime, count, wait};
use super::window::Window;
use super::{HeaderLimit, QUOTAS_MAX};

/// A member of a list: its name, or its number in earlier drafts, and its parameters.
struct Member {
    item: Item,
}

impl Member {
    fn parameter(&self, names: &[&str]) -> Option<f64> {
        names.iter().find_map(|name| self.item.params.get(*name)).and_then(number)
    }

    /// The same quota, in the two headers.
    fn is_named_as(&self, other: &Self) -> bool {
        self.item.bare_item == other.item.bare_item
    }
}

/// The quotas of both headers. Of a list of policies each is one, also where nothing tells what is left of it.
pub(super) fn windows(policy: &str, state: &str, time: ServerTime) -> Vec<Window> {
    let (policy, state) = (with_short_decimals(policy), with_short_decimals(state));
    let (policy, state) = (&*policy, &*state);
    let policies = members(policy);
    let states = members(state);
    if policies.is_empty() && states.is_empty() {
        return older(policy, state, time).into_iter().collect();
    }
    if states.is_empty() {
        // Earlier drafts: a single quota by its parameters, and its policy beside it.
        if let Some(window) = older(policy, state, time) {
            return vec![window];
        }
    }
    let unnamed = states.iter().filter(|state| !policies.iter().any(|policy| policy.is_named_as(state)));
    let named = policies.iter().enumerate().map(|(index, policy)| {
        let same = states.iter().find(|state| state.is_named_as(policy));
        // Servers that name them differently list them alike.
        let by_place = || states.get(index).filter(|state| !policies.iter().any(|policy| policy.is_named_as(state)));
        (Some(policy), same.or_else(by_place))
    });
    let named: Vec<_> = named.collect();
    let is_taken =
        |state: &Member| named.iter().any(|(_, taken)| taken.is_some_and(|taken| std::ptr::eq(taken, state)));
    let others: Vec<_> = unnamed.filter(|state| !is_taken(state)).map(|state| (None, Some(state))).collect();
    let all = named.into_iter().chain(others).take(QUOTAS_MAX);
    all.map(|(policy, state)| {
        let of = |names: &[&str]| state.and_then(|state| state.parameter(names));
        let limit = policy.and_then(|policy| policy.parameter(&["q"]).or_else(|| number(&policy.item.bare_item)));
        let per = policy.and_then(|policy| policy.parameter(&["w"])).and_then(wait);
        window(limit, of(&["r", "remaining"]), of(&["t", "reset"]), per, time)
    })
    .collect()
}

/// Decimals with more than the three digits after the point that RFC 9651 (section 3.3.2) allows are cut to these.
/// Servers print what their language makes of a number, and the parser would refuse the whole field.
fn with_short_decimals(field: &str) -> Cow<'_, str> {
    const DIGITS_MAX: usize = 3;
    if !field.contains('.') {
        return Cow::Borrowed(field);
    }
    let mut short = String::with_capacity(field.len());
    let (mut is_quoted, mut digits) = (false, None);
    for char in field.chars() {
        digits = match digits {
            _ if char == '.' && short.ends_with(|before: char| before.is_ascii_digit()) => Some(0),
            Some(count) if char.is_ascii_digit() => Some(count + 1),
            _ => None,
        };
        is_quoted ^= char == '"';
        if is_quoted || digits.is_none_or(|count| count <= DIGITS_MAX) {
            short.push(char);
        }
    }
    Cow::Owned(short)
}

/// `limit=100, remaining=50, reset=5`, and a policy such as `100;w=60`.
fn older(policy: &str, state: &str, time: ServerTime) -> Option<Window> {
    let parameters: Dictionary = Parser::new(state).parse().unwrap_or_default();
    let item = |entry: &'_ ListEntry| match entry {
        ListEntry::Item(item) => Some(item.clone()),
        ListEntry::InnerList(_) => None,
    };
    // Semicolons instead of commas make the others parameters of the first.
    let first = parameters.values().next().and_then(item);
    let of = |names: &[&str]| {
        names.iter().find_map(|name| match parameters.get(*name).and_then(item) {
            Some(item) => number(&item.bare_item),
            None => number(first.as_ref()?.params.get(*name)?),
        })
    };
    let policies = members(policy);
    let first = policies.first();
    let limit = of(&["limit"]).or_else(|| number(&first?.item.bare_item)).or_else(|| first?.parameter(&["q"]));
    let per = first.and_then(|policy| policy.parameter(&["w"])).and_then(wait);
    let window = window(limit, of(&["remaining", "r"]), of(&["reset", "t"]), per, time);
    // Policies alone, without a state, are a list.
    (!parameters.is_empty() && window != Window::default()).then_some(window)
}

fn window(
    limit: Option<f64>,
    remaining: Option<f64>,
    reset: Option<f64>,
    per: Option<Duration>,
    time: ServerTime,
) -> Window {
    let limit = limit.and_then(count).filter(|limit| *limit > 0);
    let told = HeaderLimit { limit, remaining: remaining.and_then(count), reset: None, per };
    Window::new(told, reset.map(|reset| time.end(reset)))
}

/// The items of a list; none of what isn't one.
fn members(field: &str) -> Vec<Member> {
    let list: List = Parser::new(field).parse().unwrap_or_default();
    let items = list.into_iter().filter_map(|entry| match entry {
        ListEntry::Item(item) => Some(Member { item }),
        ListEntry::InnerList(_) => None,
    });
    items.take(2 * QUOTAS_MAX).collect()
}

fn number(item: &BareItem) -> Option<f64> {
    match item {
        BareItem::Integer(number) => Some(i64::from(*number) as f64),
        BareItem::Decimal(number) => Some(f64::from(*number)),
        BareItem::String(_)
        | BareItem::Token(_)
        | BareItem::ByteSequence(_)
        | BareItem::Boolean(_)
        | BareItem::Date(_)
        | BareItem::DisplayString(_) => None,
    }
}
