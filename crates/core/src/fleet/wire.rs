//! Renewals as the script's arguments, and its answers and what it publishes as grants and broadcasts.
//!
//! Times are whole microseconds. What is drawn at random has 64 bits, which a number of Lua's doesn't hold: it travels
//! as 16 hexadecimal digits, and the script only compares it.

use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use redis::Value;

use crate::lease::{Broadcast, Epoch, Grant, Host, LeaseId, Pause, PauseReport, Renewal, Rest, Scope, WindowGrant};

/// What stays as it is in a key: braces would end the hash tag.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// The key of an organization's budget. Its hash tag keeps everything of the organization on one node of a cluster.
pub fn key(organization: &str) -> String {
    format!("spillway:{{{}}}:budget", utf8_percent_encode(organization, PLAIN))
}

/// The channel on which the script publishes an organization's broadcasts.
pub fn channel(organization: &str) -> String {
    format!("spillway:{{{}}}:broadcasts", utf8_percent_encode(organization, PLAIN))
}

/// The script's arguments, the channel first.
pub fn arguments(organization: &str, renewal: &Renewal) -> Vec<Vec<u8>> {
    let mut out = Arguments(Vec::new());
    out.text(&channel(organization));
    out.text(&renewal.host.to_string());
    out.number(renewal.number);
    out.id(renewal.draw);
    match &renewal.seen {
        Some(seen) => {
            out.id(seen.epoch.0);
            out.number(seen.version);
            out.number(seen.lease.0);
            out.span(seen.clock);
            out.span(seen.since);
            out.number(u64::from(seen.is_live));
        }
        None => {
            out.text("");
            (0..5).for_each(|_| out.number(0));
        }
    }
    out.number(u64::from(renewal.weight));
    out.span(renewal.lasts);
    out.number(u64::from(renewal.sent));
    out.count(&renewal.windows);
    for window in &renewal.windows {
        out.span(window.per);
        out.number(u64::from(window.requests.get()));
        out.number(u64::from(window.held));
        out.number(u64::from(window.need));
        out.count(&window.back);
        for rest in &window.back {
            out.span(rest.span);
            out.number(u64::from(rest.slots));
        }
    }
    out.count(&renewal.pauses);
    for report in &renewal.pauses {
        let (word, scope, number) = match report {
            PauseReport::Paused(scope, lasts) => ("paused", scope, micros(*lasts)),
            PauseReport::Resumed(scope, number) => ("resumed", scope, *number),
            PauseReport::Unprobed(scope) => ("unprobed", scope, 0),
        };
        out.text(word);
        out.scope(scope);
        out.number(number);
    }
    out.count(&renewal.probes);
    renewal.probes.iter().for_each(|scope| out.scope(scope));
    out.0
}

struct Arguments(Vec<Vec<u8>>);

impl Arguments {
    fn text(&mut self, text: &str) {
        self.0.push(text.as_bytes().to_vec());
    }

    fn number(&mut self, number: u64) {
        self.text(&number.to_string());
    }

    fn id(&mut self, id: u64) {
        self.text(&format!("{id:016x}"));
    }

    fn span(&mut self, span: Duration) {
        self.number(micros(span));
    }

    fn count<T>(&mut self, list: &[T]) {
        self.text(&list.len().to_string());
    }

    fn scope(&mut self, scope: &Scope) {
        self.text(&match scope {
            Scope::Organization => "o".to_owned(),
            Scope::Route(name) => format!("r{name}"),
            Scope::Conversation(name) => format!("c{name}"),
        });
    }
}

fn micros(span: Duration) -> u64 {
    // What a double holds: 285 years.
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX).min((1 << 53) - 1)
}

/// What the script answers. `None` if that makes no sense.
pub fn grant(answer: Value) -> Option<Grant> {
    let Value::Array(values) = answer else { return None };
    let mut values = Values(values.into_iter());
    let number = values.number()?;
    let epoch = Epoch(values.id()?);
    let version = values.number()?;
    let clock = values.span()?;
    let lease = LeaseId(values.number()?);
    let lasts = values.span()?;
    let is_short = values.flag()?;
    let forgetting = values.perhaps_span()?;
    let hosts = values.count()?;
    let differs = values.flag()?;
    let windows = values.list(|values| {
        Some(WindowGrant {
            per: values.span()?,
            requests: values.count()?,
            share: values.count()?,
            target: values.count()?,
            has_turn: values.flag()?,
            fresh: values.list(|values| Some(Rest { span: values.span()?, slots: values.count()? }))?,
        })
    })?;
    let mut pauses = values.list(Values::pause)?;
    // The server's order of texts may be that of a language.
    pauses.sort_by(|one, other| one.scope.cmp(&other.scope));
    values.0.next().is_none().then_some(Grant {
        number,
        epoch,
        version,
        clock,
        lease,
        lasts,
        windows,
        is_short,
        forgetting,
        hosts,
        differs,
        pauses,
    })
}

/// What the script publishes: a word and what belongs to it, each behind a line feed. `None` if that makes no sense.
pub fn broadcasts(payload: &[u8]) -> Option<Broadcast> {
    // A conversation's name may hold line feeds; the scope is the last part.
    let text = std::str::from_utf8(payload).ok()?;
    let (word, rest) = text.split_once('\n').unwrap_or((text, ""));
    match word {
        "short" => Some(Broadcast::Short(hosts(rest)?)),
        "free" => Some(Broadcast::Free(hosts(rest)?)),
        "resumed" => {
            let (number, name) = rest.split_once('\n')?;
            Some(Broadcast::Resumed(scope(name)?, number.parse().ok()?))
        }
        "paused" => {
            let mut parts = rest.splitn(5, '\n');
            let number = parts.next()?.parse().ok()?;
            let lasts = Duration::from_micros(parts.next()?.parse().ok()?);
            let prober = prober(parts.next()?, Duration::from_micros(parts.next()?.parse().ok()?))?;
            Some(Broadcast::Paused(Pause { scope: scope(parts.next()?)?, number, lasts, prober }))
        }
        _ => None,
    }
}

fn hosts(lines: &str) -> Option<Vec<Host>> {
    lines.split('\n').map(|id| Some(Host(u64::from_str_radix(id, 16).ok()?))).collect()
}

/// Outside: whether it makes sense. Inside: whether somebody probes.
fn prober(id: &str, lasts: Duration) -> Option<Option<(Host, Duration)>> {
    match id {
        "" => Some(None),
        id => Some(Some((Host(u64::from_str_radix(id, 16).ok()?), lasts))),
    }
}

fn scope(text: &str) -> Option<Scope> {
    match text.split_at_checked(1)? {
        ("o", "") => Some(Scope::Organization),
        ("r", name) => Some(Scope::Route(name.into())),
        ("c", name) => Some(Scope::Conversation(name.into())),
        _ => None,
    }
}

struct Values(std::vec::IntoIter<Value>);

impl Values {
    fn signed(&mut self) -> Option<i64> {
        match self.0.next()? {
            Value::Int(number) => Some(number),
            _ => None,
        }
    }

    fn number(&mut self) -> Option<u64> {
        self.signed()?.try_into().ok()
    }

    fn count(&mut self) -> Option<u32> {
        self.signed()?.try_into().ok()
    }

    fn flag(&mut self) -> Option<bool> {
        match self.signed()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    fn span(&mut self) -> Option<Duration> {
        Some(Duration::from_micros(self.number()?))
    }

    /// -1 stands for none.
    fn perhaps_span(&mut self) -> Option<Option<Duration>> {
        match self.signed()? {
            -1 => Some(None),
            micros => Some(Some(Duration::from_micros(micros.try_into().ok()?))),
        }
    }

    fn text(&mut self) -> Option<String> {
        match self.0.next()? {
            Value::BulkString(bytes) => String::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    fn id(&mut self) -> Option<u64> {
        u64::from_str_radix(&self.text()?, 16).ok()
    }

    /// Its length first.
    fn list<T>(&mut self, read: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let length = self.count()?;
        (0..length).map(|_| read(self)).collect()
    }

    fn pause(&mut self) -> Option<Pause> {
        let scope = scope(&self.text()?)?;
        let (number, lasts) = (self.number()?, self.span()?);
        let (id, probes_for) = (self.text()?, self.span()?);
        Some(Pause { scope, number, lasts, prober: prober(&id, probes_for)? })
    }
}
