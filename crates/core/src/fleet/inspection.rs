//! A look at the budget of an organization, as the store has it: for the command line. Changes nothing.

use std::str::{FromStr, SplitWhitespace};

use redis::Value;
use serde::Serialize;

use super::connection::{Calls, Connection};
use super::failure::{self, Remedy};
use super::wire;
use crate::error::{Error, StoreErrorKind};
use crate::lease::Failure;
use crate::settings::RedisUrl;

/// What the store has of an organization. Times are milliseconds from now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Inspection {
    /// The store is new, or has forgotten who holds what: for so long it hands out nothing.
    pub waits_ms: Option<u64>,
    /// By id.
    pub hosts: Vec<HostInspection>,
    /// What nobody holds.
    pub free: Vec<FreeInspection>,
    /// By scope.
    pub pauses: Vec<PauseInspection>,
}

/// A host, and its part of a window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HostInspection {
    /// As in `stats().fleet`.
    pub host: String,
    /// What is left of its lease; 0 if it is over, and its share comes back soon.
    pub lease_ms: u64,
    /// Conversations that wait.
    pub conversations: u64,
    /// The window.
    pub per_ms: u64,
    /// The quota that is configured there.
    pub requests: u64,
    /// What it needs of that.
    pub needs: u64,
    /// What is due to it.
    pub target: u64,
    /// What it holds.
    pub share: u64,
}

/// Slots of a window that nobody holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FreeInspection {
    /// The window.
    pub per_ms: u64,
    /// Slots that can be had now.
    pub free: u64,
    /// Slots whose last request may still count.
    pub resting: u64,
}

/// A pause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PauseInspection {
    /// `organization`, `route` or `conversation`.
    pub scope: &'static str,
    /// The route's or conversation's name.
    pub name: String,
    /// What is left of it; 0 when a probe is due.
    pub lasts_ms: u64,
    /// Who probes, if somebody does.
    pub prober: Option<String>,
}

/// Looks once; waits for the answer on this thread.
///
/// # Errors
/// When the store can't be reached, or refuses to tell.
pub fn inspect(url: &RedisUrl, organization: &str) -> Result<Inspection, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Error::resources("look at the fleet", &error))?;
    let failed = |failure: Failure| Error::Store { kind: StoreErrorKind::Failed, problem: failure.problem };
    runtime.block_on(look(url, organization)).map_err(failed)
}

async fn look(url: &RedisUrl, organization: &str) -> Result<Inspection, Failure> {
    let of_connection = |error| failure::of_connection(&error, false);
    let connection = Connection::open(url, 0, drop).await.map_err(of_connection)?;
    match read(&mut connection.calls(), organization).await? {
        Ok(inspection) => Ok(inspection),
        // A cluster: the key is on that node.
        Err((_, Remedy::Elsewhere { node, .. })) => {
            let connection = Connection::open_node(url, &node, drop).await.map_err(of_connection)?;
            read(&mut connection.calls(), organization).await?.map_err(|(failure, _)| failure)
        }
        Err((failure, _)) => Err(failure),
    }
}

async fn read(calls: &mut Calls, organization: &str) -> Result<Result<Inspection, (Failure, Remedy)>, Failure> {
    let state = calls.state(&wire::key(organization)).await;
    let (time, fields) = state.map_err(|error| failure::of_connection(&error, false))?;
    if let Value::ServerError(error) = &fields {
        return Ok(Err(failure::refusal(error)));
    }
    let [seconds, micros]: [u64; 2] = redis::from_redis_value(time).unwrap_or_default();
    let fields: Vec<(String, String)> = redis::from_redis_value(fields).unwrap_or_default();
    let mut inspection = Inspection::default();
    let memory = fields.iter().find(|(field, _)| field == MEMORY);
    let now = memory.and_then(|(_, memory)| inspection.add_memory(seconds * 1_000_000 + micros, memory));
    for (field, value) in &fields {
        // What a newer version has written, and this one can't read, is left out.
        let _ = now.and_then(|now| inspection.add(now, field, value));
    }
    inspection.hosts.sort_by(|one, other| (one.per_ms, &one.host).cmp(&(other.per_ms, &other.host)));
    inspection.free.sort_by_key(|free| free.per_ms);
    inspection.pauses.sort_by(|one, other| (one.scope, &one.name).cmp(&(other.scope, &other.name)));
    Ok(Ok(inspection))
}

/// The field for the store itself.
const MEMORY: &str = "m";

impl Inspection {
    /// The field for the store itself, as the script writes it. Gives the time that all others count by, at most.
    fn add_memory(&mut self, server: u64, value: &str) -> Option<u64> {
        let words = &mut value.split_whitespace();
        // run, epoch, version
        words.nth(2)?;
        let forgetting: i64 = next(words)?;
        // pass, last, reading
        words.nth(2)?;
        let (added, earliest): (u64, u64) = (next(words)?, next(words)?);
        let (base_reading, base_earliest): (u64, u64) = (next(words)?, next(words)?);
        let now = earliest.max((base_earliest + server + added).saturating_sub(base_reading));
        self.waits_ms = u64::try_from(forgetting).ok().map(|until| left_ms(until, now)).filter(|ms| *ms > 0);
        Some(now)
    }

    /// Another field of the hash.
    fn add(&mut self, now: u64, field: &str, value: &str) -> Option<()> {
        let words = &mut value.split_whitespace();
        match field.split_once(':') {
            None => return None,
            Some(("p", per)) => {
                let (mut free, mut resting) = (0, 0);
                for _ in 0..next::<u64>(words)? {
                    let (at, slots): (u64, u64) = (next(words)?, next(words)?);
                    *(if at <= now { &mut free } else { &mut resting }) += slots;
                }
                self.free.push(FreeInspection { per_ms: per.parse::<u64>().ok()? / 1_000, free, resting });
            }
            Some(("h", host)) => {
                // lease, first, number
                words.nth(2)?;
                let (deadline, conversations): (u64, u64) = (next(words)?, next(words)?);
                // pass, stride, turn
                words.nth(3)?;
                for _ in 0..next::<u64>(words)? {
                    let (per, requests): (u64, u64) = (next(words)?, next(words)?);
                    let (needs, share, target): (u64, u64, u64) = (next(words)?, next(words)?, next(words)?);
                    let _has_turn = words.next()?;
                    for _ in 0..2 * next::<usize>(words)? {
                        words.next()?;
                    }
                    self.hosts.push(HostInspection {
                        host: host.to_owned(),
                        lease_ms: left_ms(deadline, now),
                        conversations,
                        per_ms: per / 1_000,
                        requests,
                        needs,
                        target,
                        share,
                    });
                }
            }
            Some(("s", scope)) => {
                let (_number, till): (u64, u64) = (next(words)?, next(words)?);
                let (prober, probes_till): (&str, u64) = (words.next()?, next(words)?);
                let kind = match scope.as_bytes().first()? {
                    b'o' => "organization",
                    b'r' => "route",
                    b'c' => "conversation",
                    _ => return None,
                };
                self.pauses.push(PauseInspection {
                    scope: kind,
                    name: scope[1..].to_owned(),
                    lasts_ms: left_ms(till, now),
                    prober: (prober != "-" && probes_till > now).then(|| prober.to_owned()),
                });
            }
            Some(_) => return None,
        }
        Some(())
    }
}

fn next<T: FromStr>(words: &mut SplitWhitespace<'_>) -> Option<T> {
    words.next()?.parse().ok()
}

fn left_ms(until: u64, now: u64) -> u64 {
    until.saturating_sub(now).div_ceil(1_000)
}
