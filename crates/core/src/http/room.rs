//! A cap on the process's connections, over all organizations: half of the file descriptors that it may open. At the
//! cap, the connection that has been idle for longest is closed, whichever organization it belongs to. If none is idle,
//! the next connection waits its turn.

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::clock::{Clock, Timestamp};
use crate::lock::lock;

/// Connections get one in this many file descriptors. The rest is left for outboxes and the rest of the process.
const PART_OF_DESCRIPTORS: usize = 2;
/// This many connections begin at once, and then one after each such span.
const BEGUN_AT_ONCE: u32 = 32;
const BETWEEN_BEGINNINGS: Duration = Duration::from_micros(500);
const CONNECTIONS_MIN: usize = 16;
const CONNECTIONS_MAX: usize = 65_536;

/// The cap of this process.
pub(super) static ROOM: LazyLock<Arc<Room>> = LazyLock::new(|| Room::new(places()));

/// The idle connections of one client.
pub(super) trait IdlePool: fmt::Debug + Send + Sync {
    /// The number of the one that has been idle for longest, as given by [`Room::turn`].
    fn oldest(&self) -> Option<u64>;

    /// Closes the one that has been idle for longest. Returns whether there was one.
    fn end_oldest(&self) -> bool;

    /// Closes all. Returns whether there were any.
    fn end_all(&self) -> bool;
}

/// A cap on connections.
#[derive(Debug)]
pub(super) struct Room {
    places: Arc<Semaphore>,
    /// Of all pools, whose own clocks differ.
    clock: Clock,
    /// When the next connection may begin, if they begin one after another.
    beginnings: Mutex<Beginnings>,
    /// Connections waiting for a place.
    waiting: AtomicUsize,
    /// Counts the times that a connection became idle.
    turns: AtomicU64,
    /// The pools whose idle connections may be closed.
    pools: Mutex<Vec<Weak<dyn IdlePool>>>,
}

/// A connection's place. Dropping it frees the place.
#[derive(Debug)]
pub(super) struct Permit {
    _permit: OwnedSemaphorePermit,
}

impl Room {
    pub(super) fn new(places: usize) -> Arc<Self> {
        Arc::new(Self {
            places: Arc::new(Semaphore::new(places)),
            clock: Clock::start(),
            beginnings: Mutex::default(),
            waiting: AtomicUsize::default(),
            turns: AtomicU64::default(),
            pools: Mutex::default(),
        })
    }

    /// Adds a pool whose idle connections may be closed for others.
    pub(super) fn join(&self, pool: &Arc<impl IdlePool + 'static>) {
        let mut pools = lock(&self.pools);
        pools.retain(|pool| pool.strong_count() > 0);
        let pool: Weak<_> = Arc::downgrade(pool);
        pools.push(pool);
    }

    /// Waits until one more connection may begin.
    pub(super) async fn begin(&self) {
        let wait = lock(&self.beginnings).take(self.clock.now());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    /// Waits for a place for one more connection.
    pub(super) async fn place(&self) -> Permit {
        loop {
            if let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() {
                return Permit { _permit: permit };
            }
            if !self.end_oldest_idle() {
                break;
            }
        }
        let _waiting = Waiting::begin(&self.waiting);
        match Arc::clone(&self.places).acquire_owned().await {
            Ok(permit) => Permit { _permit: permit },
            Err(_) => unreachable!("the room is never closed"),
        }
    }

    /// A number for a connection that becomes idle, higher than all numbers before.
    pub(super) fn turn(&self) -> u64 {
        self.turns.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether a connection is waiting for a place. Finished connections are then closed instead of kept idle.
    pub(super) fn is_wanted(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Closes all idle connections of the process: it has run out of file descriptors below the cap. Returns whether
    /// there were any.
    pub(super) fn end_idle(&self) -> bool {
        self.pools().iter().fold(false, |ended, pool| pool.end_all() | ended)
    }

    fn end_oldest_idle(&self) -> bool {
        let pools = self.pools();
        let oldest = pools.iter().filter_map(|pool| Some((pool.oldest()?, pool))).min_by_key(|(turn, _)| *turn);
        oldest.is_some_and(|(_, pool)| pool.end_oldest())
    }

    fn pools(&self) -> Vec<Arc<dyn IdlePool>> {
        lock(&self.pools).iter().filter_map(Weak::upgrade).collect()
    }
}

/// Spreads the beginnings of connections. To begin one is some work, with TLS about a quarter of a millisecond, and
/// thousands at once would keep everybody else's requests and answers waiting for seconds.
#[derive(Debug, Default)]
struct Beginnings {
    /// When all that have begun would have, one after another.
    free_at: Option<Timestamp>,
}

impl Beginnings {
    /// Takes the next turn; for how long to wait for it.
    fn take(&mut self, now: Timestamp) -> Duration {
        let at = self.free_at.map_or(now, |at| at.max(now));
        self.free_at = Some(at.after(BETWEEN_BEGINNINGS));
        at.since(now.after(BETWEEN_BEGINNINGS * (BEGUN_AT_ONCE - 1)))
    }
}

/// Counts as one waiting connection until dropped, since the wait may be canceled.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(unix)]
fn places() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    places_of(limit.and_then(|limit| usize::try_from(limit).ok()))
}

#[cfg(not(unix))]
fn places() -> usize {
    places_of(None)
}

fn places_of(descriptors: Option<usize>) -> usize {
    descriptors.map_or(CONNECTIONS_MAX, |all| (all / PART_OF_DESCRIPTORS).clamp(CONNECTIONS_MIN, CONNECTIONS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_take_half_of_the_files_within_bounds() {
        for (descriptors, places) in [(Some(1_024), 512), (Some(20), 16), (Some(usize::MAX), 65_536), (None, 65_536)] {
            assert_eq!(places_of(descriptors), places);
        }
    }

    #[test]
    fn of_many_connections_some_begin_at_once_and_the_others_one_after_another() {
        let mut beginnings = Beginnings::default();
        let now = Timestamp::from_micros(1);
        let waits: Vec<Duration> = (0..1_032).map(|_| beginnings.take(now)).collect();
        assert!(waits[..32].iter().all(Duration::is_zero));
        assert_eq!((waits[32], waits[1_031]), (BETWEEN_BEGINNINGS, BETWEEN_BEGINNINGS * 1_000));
        // After as long a rest as many begin at once again.
        let later = now.after(Duration::from_secs(10));
        assert_eq!((0..33).filter(|_| beginnings.take(later).is_zero()).count(), 32);
    }

    #[tokio::test]
    async fn who_finds_no_place_gets_the_next_one_in_turn() {
        let room = Room::new(1);
        let place = room.place().await;
        assert!(!room.is_wanted());
        let mut first = Box::pin(room.place());
        let mut second = Box::pin(room.place());
        assert!(futures_pending(&mut first).await && futures_pending(&mut second).await);
        assert!(room.is_wanted());
        drop(place);
        assert!(futures_pending(&mut second).await, "the first one waits for longer");
        let place = first.await;
        // Whoever is cut while waiting waits no more.
        drop(second);
        assert!(!room.is_wanted());
        drop(place);
        let _place = room.place().await;
    }

    async fn futures_pending<T>(future: &mut (impl Future<Output = T> + Unpin)) -> bool {
        let mut future = std::pin::Pin::new(future);
        std::future::poll_fn(|context| std::task::Poll::Ready(future.as_mut().poll(context).is_pending())).await
    }
}
