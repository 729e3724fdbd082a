//! Connections: reqwest makes them (`takeover`), hyper speaks on them, and this keeps them.
//!
//! A request takes an idle connection, or has one made. So there are never more of them than requests at a time, and
//! there are no more requests at a time than `connections.max`.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::SendRequest;
use tokio::task::AbortHandle;

use super::room::{IdlePool, Permit, ROOM, Room};
use super::stream::HeadAllowance;
use crate::clock::{Clock, Timestamp};
use crate::lock::lock;

/// A connection that has been idle for this long is closed: a thousand organizations' idle connections would take up
/// the process's descriptors, and load balancers drop them, perhaps under a request.
pub(super) const IDLE_MAX: Duration = Duration::from_secs(10);
/// Connections whose time ends within this span of one another are closed together, with one wake-up.
const CLOSED_TOGETHER: Duration = Duration::from_secs(1);
/// A connection that no request has used is an idle one like any other after this time.
const NEW_MAX: Duration = Duration::from_secs(1);
/// A reset of a connection that was idle for as long is put down to that: no server announces a shorter time by
/// default.
const IDLE_SUSPECT: Duration = Duration::from_secs(5);

/// A connection, ready for a request or about to be.
pub(super) struct Connection {
    pub(super) requests: SendRequest<Full<Bytes>>,
    pub(super) head: HeadAllowance,
    task: AbortHandle,
    /// None if the request that wanted the connection was canceled before it was made.
    _place: Option<Permit>,
}

struct Idle {
    connection: Connection,
    /// Orders idle connections over all pools, whose clocks differ.
    turn: u64,
    since: Timestamp,
    until: Timestamp,
    is_new: bool,
}

/// A connection that serves a request.
pub(super) struct Taken {
    pub(super) connection: Connection,
    /// No request has used it before, and it was just made.
    pub(super) is_new: bool,
    at: Timestamp,
    idle_for: Duration,
}

/// How a connection failed after its request was given to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It said nothing until the request's time was up.
    Silent,
    /// It was reset or closed.
    Ended,
}

#[derive(Default)]
struct Pool {
    /// The one that was used last is at the end.
    idle: VecDeque<Idle>,
    /// The next requests, this many, get new connections in spite of idle ones.
    new_due: usize,
    /// Reserved for connections that are being made.
    places: Vec<Permit>,
    /// A task closes the idle ones when their time is over.
    is_watched: bool,
}

impl Pool {
    /// Closes those whose time is over. When the next one's is, if there is any.
    fn close_overdue(&mut self, now: Timestamp) -> Option<Timestamp> {
        self.idle.retain(|idle| now < idle.until);
        let next = self.idle.iter().map(|idle| idle.until).min();
        self.is_watched = next.is_some();
        next
    }
}

/// Closes a pool's idle connections when their time is over. Ends with the last of them, so that a client without any
/// wakes nobody.
async fn watch(pool: Weak<Mutex<Pool>>, clock: Clock) {
    loop {
        let now = clock.now();
        let Some(next) = pool.upgrade().and_then(|pool| lock(&pool).close_overdue(now)) else { return };
        let at = clock.instant(next.max(now.after(CLOSED_TOGETHER)));
        tokio::time::sleep_until(at.into()).await;
    }
}

impl IdlePool for Mutex<Pool> {
    fn oldest(&self) -> Option<u64> {
        lock(self).idle.front().map(|idle| idle.turn)
    }

    fn end_oldest(&self) -> bool {
        lock(self).idle.pop_front().is_some()
    }

    fn end_all(&self) -> bool {
        !std::mem::take(&mut lock(self).idle).is_empty()
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("idle", &self.idle.len()).finish_non_exhaustive()
    }
}

/// The idle connections of a client.
#[derive(Clone)]
pub(super) struct Connections {
    pool: Arc<Mutex<Pool>>,
    room: Arc<Room>,
    clock: Clock,
}

impl Connections {
    /// In the room of the process.
    pub(super) fn new() -> Self {
        Self::of(Arc::clone(&ROOM))
    }

    fn of(room: Arc<Room>) -> Self {
        let pool: Arc<Mutex<Pool>> = Arc::default();
        room.join(&pool);
        Self { pool, room, clock: Clock::start() }
    }

    /// Waits for a place for a connection that is about to be made.
    pub(super) async fn reserve(&self) -> Reserved<'_> {
        self.room.begin().await;
        let place = self.room.place().await;
        lock(&self.pool).places.push(place);
        Reserved(self)
    }

    /// Waits for a place for a connection that is not kept.
    pub(super) async fn place(&self) -> Permit {
        self.room.begin().await;
        self.room.place().await
    }

    /// A connection could not be opened because the process is out of file descriptors. Closes idle connections of all
    /// organizations. Returns whether that has freed any.
    pub(super) async fn make_way(&self) -> bool {
        let has_closed = self.room.end_idle();
        if has_closed {
            // A connection's own task closes its descriptor.
            tokio::task::yield_now().await;
        }
        has_closed
    }

    pub(super) fn clock(&self) -> Clock {
        self.clock
    }

    /// The one that was used last; those that were idle for too long end here. None when a new one has to be made.
    pub(super) fn take(&self) -> Option<Taken> {
        let now = self.clock.now();
        let mut pool = lock(&self.pool);
        while pool.idle.front().is_some_and(|oldest| now >= oldest.until) {
            pool.idle.pop_front();
        }
        while pool.idle.back().is_some_and(|latest| now >= latest.until) {
            pool.idle.pop_back();
        }
        let latest = pool.idle.back()?;
        let idle_for = now.since(latest.since);
        let is_new = latest.is_new && idle_for < NEW_MAX;
        if pool.new_due > 0 {
            pool.new_due -= 1;
            if !is_new {
                return None;
            }
        }
        let connection = pool.idle.pop_back()?.connection;
        Some(Taken { connection, is_new, at: now, idle_for })
    }

    /// The answer was read to its end, and the connection may be idle for this long. If the answer came before all of
    /// its request was sent, hyper would go on sending the rest, and no other request could have the connection
    /// meanwhile: it is cut. So it is while another connection waits for its place.
    pub(super) fn give_back(&self, connection: Connection, idle_max: Duration) {
        if connection.requests.is_ready() && !self.room.is_wanted() {
            self.put(connection, idle_max, false);
        } else {
            connection.task.abort();
        }
    }

    /// The connection had been idle, and served no longer. What lies between, a load balancer or NAT, may have dropped
    /// all that were idle with it, and to try each would cost one time-out or unknown outcome per connection.
    pub(super) fn distrust(&self, failed: &Taken, fate: Fate) {
        if failed.is_new {
            return;
        }
        let mut pool = lock(&self.pool);
        if fate == Fate::Silent || failed.idle_for >= IDLE_SUSPECT {
            // What has answered since has shown that its way is open.
            pool.idle.retain(|idle| idle.since > failed.at);
        } else {
            // The server may have ended just this one. A new connection in its place is as many as before.
            pool.new_due = (pool.new_due + 1).min(pool.idle.len());
        }
    }

    /// One was just made. It takes a place that was reserved, unless the request that wanted it is gone.
    pub(super) fn add(&self, requests: SendRequest<Full<Bytes>>, head: HeadAllowance, task: AbortHandle) {
        let place = lock(&self.pool).places.pop();
        self.put(Connection { requests, head, task, _place: place }, IDLE_MAX, true);
    }

    fn put(&self, connection: Connection, idle_max: Duration, is_new: bool) {
        let now = self.clock.now();
        if !connection.requests.is_closed() && !idle_max.is_zero() {
            let (turn, until) = (self.room.turn(), now.after(idle_max.min(IDLE_MAX)));
            let idle = Idle { connection, turn, since: now, until, is_new };
            let mut pool = lock(&self.pool);
            pool.idle.push_back(idle);
            if !std::mem::replace(&mut pool.is_watched, true) {
                tokio::spawn(watch(Arc::downgrade(&self.pool), self.clock));
            }
        }
    }
}

/// A place reserved for a connection while it is being made.
pub(super) struct Reserved<'a>(&'a Connections);

impl Reserved<'_> {
    /// The connection was made and has taken the place.
    pub(super) fn taken(self) {
        std::mem::forget(self);
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        drop(lock(&self.0.pool).places.pop());
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").field("idle", &lock(&self.pool).idle.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::{self, IoSlice};
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use hyper::rt::{Read, ReadBufCursor, Write};
    use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
    use tower_layer::Layer;
    use tower_service::Service;

    use super::*;
    use crate::http::takeover::{Failure, TakenOver};
    use crate::message::{Message, Parts};

    /// Where a part that is written lies, and its length.
    type Part = (usize, usize);

    /// A connection to a server that takes all and says nothing.
    struct Wire(UnboundedSender<Vec<Part>>);

    impl Read for Wire {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl Write for Wire {
        fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, part: &[u8]) -> Poll<io::Result<usize>> {
            self.poll_write_vectored(context, &[IoSlice::new(part)])
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn is_write_vectored(&self) -> bool {
            true
        }

        fn poll_write_vectored(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            parts: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            self.0.send(parts.iter().map(|part| (part.as_ptr().addr(), part.len())).collect()).unwrap();
            Poll::Ready(Ok(parts.iter().map(|part| part.len()).sum()))
        }
    }

    struct Connector(UnboundedSender<Vec<Part>>);

    impl Service<()> for Connector {
        type Response = Wire;
        type Error = Failure;
        type Future = std::future::Ready<Result<Wire, Failure>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, (): ()) -> Self::Future {
            std::future::ready(Ok(Wire(self.0.clone())))
        }
    }

    #[tokio::test]
    async fn a_body_goes_to_the_socket_from_where_its_message_lies() {
        for length in [200, 1_000_000] {
            let (written, mut writes) = unbounded_channel();
            let connections = Connections::new();
            assert!(connections.layer(Connector(written)).call(()).await.err().unwrap().is::<TakenOver>());
            let mut requests = connections.take().unwrap().connection.requests;
            requests.ready().await.unwrap();
            let message = Message::new(Parts { id: "m", body: &"x".repeat(length), ..Parts::default() }).unwrap();
            let unanswered = requests.send_request(hyper::Request::new(Full::new(message.shared().1)));
            let parts = tokio::select! {
                parts = writes.recv() => parts.unwrap(),
                _ = unanswered => unreachable!("nothing answers"),
            };
            assert_eq!(parts[1..], [(message.body().as_ptr().addr(), length)]);
        }
    }

    /// Makes a connection, and takes it.
    async fn made(connections: &Connections) -> Taken {
        let (written, _) = unbounded_channel();
        assert!(connections.layer(Connector(written)).call(()).await.err().unwrap().is::<TakenOver>());
        let mut taken = connections.take().unwrap();
        taken.connection.requests.ready().await.unwrap();
        taken
    }

    #[tokio::test]
    async fn after_a_failure_only_what_has_answered_since_serves() {
        let connections = Connections::new();
        let [before, failed, after] = [made(&connections).await, made(&connections).await, made(&connections).await];
        assert!(failed.is_new);
        connections.give_back(before.connection, IDLE_MAX);
        connections.distrust(&failed, Fate::Silent);
        assert_eq!(lock(&connections.pool).idle.len(), 1, "a failure of a new connection says nothing of the others");

        // A moment for the clock, which counts microseconds.
        let wait = || tokio::time::sleep(Duration::from_millis(2));
        wait().await;
        connections.give_back(failed.connection, IDLE_MAX);
        let failed = connections.take().unwrap();
        assert!(!failed.is_new);
        wait().await;
        connections.give_back(after.connection, IDLE_MAX);
        connections.distrust(&failed, Fate::Silent);
        assert_eq!(lock(&connections.pool).idle.len(), 1);
        assert!(connections.take().unwrap().at > failed.at);
    }

    #[tokio::test]
    async fn a_connection_serves_within_its_own_time() {
        let connections = Connections::new();
        let [short, long, none] = [made(&connections).await, made(&connections).await, made(&connections).await];
        connections.give_back(long.connection, IDLE_MAX);
        connections.give_back(short.connection, Duration::from_micros(1));
        connections.give_back(none.connection, Duration::ZERO);
        assert_eq!(lock(&connections.pool).idle.len(), 2);
        tokio::time::sleep(Duration::from_millis(2)).await;
        assert!(connections.take().is_some_and(|taken| !taken.is_new), "the one behind it");
        assert!(connections.take().is_none());
    }

    #[tokio::test]
    async fn idle_connections_are_closed_when_their_time_is_over_and_then_nothing_wakes() {
        let connections = Connections::new();
        let [one, other] = [made(&connections).await, made(&connections).await];
        let ended = [&one, &other].map(|taken| taken.connection.task.clone());
        connections.give_back(one.connection, Duration::from_millis(1));
        connections.give_back(other.connection, Duration::from_millis(1));
        while !ended.iter().all(AbortHandle::is_finished) {
            tokio::task::yield_now().await;
        }
        let is_at_rest = |pool: &Pool| pool.idle.is_empty() && !pool.is_watched;
        assert!(is_at_rest(&lock(&connections.pool)));

        // A connection that is idle after that is watched again.
        let taken = made(&connections).await;
        connections.give_back(taken.connection, IDLE_MAX);
        assert!(lock(&connections.pool).is_watched);
    }

    #[tokio::test]
    async fn after_a_reset_the_next_request_gets_a_new_connection() {
        let connections = Connections::new();
        let [one, other] = [made(&connections).await, made(&connections).await];
        connections.give_back(one.connection, IDLE_MAX);
        connections.give_back(other.connection, IDLE_MAX);
        let failed = connections.take().unwrap();
        connections.distrust(&failed, Fate::Ended);
        assert!(connections.take().is_none(), "a new one is due");
        assert!(connections.take().is_some_and(|taken| !taken.is_new), "and only one");

        // Nothing is due in the place of none.
        connections.distrust(&failed, Fate::Ended);
        let made = made(&connections).await;
        assert!(made.is_new);
    }

    /// Makes a connection in a place of the room, and takes it.
    async fn made_in(connections: &Connections) -> Taken {
        let reserved = connections.reserve().await;
        let taken = made(connections).await;
        reserved.taken();
        taken
    }

    #[tokio::test]
    async fn in_a_full_room_the_one_that_was_idle_for_longest_makes_way_whosever_it_is() {
        let room = Room::new(3);
        let [one, other] = [Connections::of(Arc::clone(&room)), Connections::of(Arc::clone(&room))];
        let [first, second, third] = [made_in(&one).await, made_in(&other).await, made_in(&one).await];
        other.give_back(second.connection, IDLE_MAX);
        one.give_back(first.connection, IDLE_MAX);
        let fourth = made_in(&other).await;
        assert_eq!([&one, &other].map(|pool| lock(&pool.pool).idle.len()), [1, 0]);

        // With nothing idle, the next to come back makes way, and is not kept.
        let _fifth = made_in(&other).await;
        assert_eq!(lock(&one.pool).idle.len(), 0);
        let (made, ()) = tokio::join!(made_in(&one), async {
            while !room.is_wanted() {
                tokio::task::yield_now().await;
            }
            one.give_back(third.connection, IDLE_MAX);
        });
        assert!(made.is_new);

        // A place whose connection was never made is free again.
        drop(fourth);
        drop(one.reserve().await);
        drop(one.reserve().await);
        assert!(lock(&one.pool).places.is_empty());
    }
}
