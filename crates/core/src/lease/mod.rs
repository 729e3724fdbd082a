//! The budget of a fleet: how hosts that share a quota lease parts of it from a store.
//!
//! Exactness adds up: if each host lets at most `n` requests arrive in any rolling window, and the shares of all hosts
//! together never exceed the quota, the fleet is exact. So the store holds the quota's slots: each is in the share of
//! one host, or in the pool, where it may have to rest until the window of its last request is over.
//!
//! One call does everything: a host sends a [`Renewal`], and the store answers with a [`Grant`]. A renewal reports
//! what the host needs, gives slots back, and tells of pauses; a grant has the share, new slots with their rests, and
//! the pauses of the fleet. Besides, the store pushes [`StoreEvent`] to all hosts.
//!
//! # Time
//! Only durations travel, in whole microseconds. A host counts the lease from *before* it sent the renewal, and rests
//! from when the grant *arrived*. The store counts rests and leases from when it *executes* the renewal. Each of these
//! is the careful side, so clocks are never compared. Nor does the store believe its own clock, which may jump: a grant
//! brings a reading of it, and the host says later how long ago that was.
//!
//! # Idempotence
//! A host has at most one renewal under way. Until it hears the answer it sends the same renewal again, with the same
//! [`Renewal::number`]; the next one has the next number. The store remembers for each host the last number and its
//! answer, and answers a repetition with that, where only the durations have gone on. A renewal with a lower number is
//! late, and changes nothing.
//!
//! # What the store decides
//! [`book`] has the rules of the store as code.
//!
//! ```
//! use std::time::Duration;
//! use spillway_core::lease::book::{Book, Server};
//! use spillway_core::lease::{Host, Renewal, Seen, WindowReport};
//!
//! let (requests, per) = (300.try_into().expect("above 0"), Duration::from_secs(60));
//! let asks = |host, number, weight| Renewal {
//!     host: Host(host),
//!     number,
//!     seen: None,
//!     weight,
//!     sent: 0,
//!     lasts: Duration::from_secs(6),
//!     windows: vec![WindowReport { per, requests, held: 0, need: 300, back: vec![] }],
//!     pauses: vec![],
//!     probes: vec![],
//!     draw: host,
//! };
//! let mut book = Book::default();
//! let at = |seconds: u64| Server { now: seconds * 1_000_000, run: 1 };
//!
//! // A store that is new can't tell whether somebody held the quota before.
//! let (grant, _) = book.renew(at(0), &asks(1, 1, 10));
//! assert_eq!(grant.windows[0].share, 0);
//! assert!(grant.forgetting.is_some());
//!
//! // Later, as the host's own clock confirms, it gets what is due to it, here everything.
//! let (epoch, version, lease, clock) = (grant.epoch, grant.version, grant.lease, grant.clock);
//! let seen = Seen { epoch, version, lease, clock, since: Duration::from_secs(80), is_live: false };
//! let (grant, _) = book.renew(at(80), &Renewal { seen: Some(seen), ..asks(1, 2, 10) });
//! assert_eq!((grant.windows[0].share, grant.windows[0].target), (300, 300));
//!
//! // Another host with twice as many conversations that wait is due two thirds, and nothing before they come back.
//! let (grant, _) = book.renew(at(81), &asks(2, 1, 20));
//! assert_eq!((grant.windows[0].share, grant.windows[0].target), (0, 200));
//! ```

pub mod book;
mod broadcast;
mod grant;
mod identity;
mod pause;
mod renewal;

pub use self::broadcast::{Broadcast, Failure, FailureKind};
pub use self::grant::{Grant, WindowGrant};
pub use self::identity::{Epoch, Host, LeaseId};
pub use self::pause::{Pause, PauseReport, Scope};
pub use self::renewal::{Renewal, Rest, Seen, WindowReport};

use std::time::Duration;

/// A request arrives within this time of leaving, or never. So this long after the end of a lease nothing arrives any
/// more that was sent under it.
pub const LATENESS: Duration = Duration::from_secs(1);
/// Beyond a window, a slot rests for this long: the clocks of hosts and server are cut to whole units in different
/// places.
pub const GUARD: Duration = Duration::from_micros(250);
/// A host renews its lease at least this often while it needs one.
pub const CADENCE_MAX: Duration = Duration::from_secs(2);
/// It never renews a lease more often than this without an occasion.
pub const CADENCE_MIN: Duration = Duration::from_secs(1);
/// A lease lasts for as many cadences.
pub const CADENCES_PER_LEASE: u32 = 3;
/// No lease is longer.
pub const LEASE_MAX: Duration = Duration::from_secs(6);
