//! Connections: reqwest makes them, hyper speaks on them, and this keeps them.
//!
//! reqwest knows how to connect – names, time limits, TLS and its roots, proxies – but what it does for each request beside
//! that costs more than the request itself. So a layer around its connector takes every connection away as soon as it is made,
//! and puts it here; requests go to hyper directly.
//!
//! A request takes an idle connection, or has one made. So there are never more of them than requests at a time, and there
//! are no more requests at a time than `connections.max`.

use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{Builder, SendRequest};
use tokio::task::AbortHandle;
use tower_layer::Layer;
use tower_service::Service;

use crate::clock::{Clock, Timestamp};
use crate::lock::lock;

/// No request is given to a connection that was idle for longer: the usual load balancer drops it after 60 s, perhaps under
/// the request. It is closed when the next request looks for one, so that an idle engine needn't wake up.
pub(super) const IDLE_MAX: Duration = Duration::from_secs(50);
/// A connection that no request has used is an idle one like any other after this time.
const NEW_MAX: Duration = Duration::from_secs(1);

type Failure = Box<dyn Error + Send + Sync>;

/// A connection, ready for a request or about to be.
pub(super) struct Connection {
    pub(super) requests: SendRequest<Full<Bytes>>,
    task: AbortHandle,
}

struct Idle {
    connection: Connection,
    since: Timestamp,
    is_new: bool,
}

/// The idle connections of a client.
#[derive(Clone)]
pub(super) struct Connections {
    idle: Arc<Mutex<VecDeque<Idle>>>,
    clock: Clock,
}

impl Connections {
    pub(super) fn new() -> Self {
        Self { idle: Arc::default(), clock: Clock::start() }
    }

    /// The one that was used last, and whether it was just made; those that were idle for too long end here.
    pub(super) fn take(&self) -> Option<(Connection, bool)> {
        let now = self.clock.now();
        let mut idle = lock(&self.idle);
        while idle.front().is_some_and(|oldest| now.since(oldest.since) >= IDLE_MAX) {
            idle.pop_front();
        }
        let latest = idle.pop_back()?;
        let is_new = latest.is_new && now.since(latest.since) < NEW_MAX;
        Some((latest.connection, is_new))
    }

    /// The answer was read to its end. If it came before all of its request was sent, hyper would go on sending the rest, and
    /// no other request could have the connection meanwhile: it is cut.
    pub(super) fn give_back(&self, connection: Connection) {
        if connection.requests.is_ready() {
            self.put(connection, false);
        } else {
            connection.task.abort();
        }
    }

    fn put(&self, connection: Connection, is_new: bool) {
        if !connection.requests.is_closed() {
            lock(&self.idle).push_back(Idle { connection, since: self.clock.now(), is_new });
        }
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").field("idle", &lock(&self.idle).len()).finish()
    }
}

/// What the request that asked for a connection is told: there is one, but not for reqwest.
#[derive(Debug)]
struct Taken;

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection was taken over")
    }
}

impl Error for Taken {}

/// Whether reqwest failed only since its connection lies among the idle ones.
pub(super) fn is_taken(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.is::<Taken>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// The layer's connector.
#[derive(Clone, Debug)]
pub(super) struct Taking<S> {
    connector: S,
    connections: Connections,
}

impl<S> Layer<S> for Connections {
    type Service = Taking<S>;

    fn layer(&self, connector: S) -> Self::Service {
        Taking { connector, connections: self.clone() }
    }
}

impl<S, Target> Service<Target> for Taking<S>
where
    S: Service<Target, Error = Failure>,
    S::Response: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, Failure>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.connector.poll_ready(context)
    }

    fn call(&mut self, target: Target) -> Self::Future {
        let (connect, connections) = (self.connector.call(target), self.connections.clone());
        Box::pin(async move {
            let (requests, exchange) = Builder::new().handshake(connect.await?).await?;
            let task = tokio::spawn(exchange).abort_handle();
            connections.put(Connection { requests, task }, true);
            Err(Failure::from(Taken))
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::{self, IoSlice};

    use hyper::rt::{Read, ReadBufCursor, Write};
    use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

    use super::*;
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
            assert!(connections.layer(Connector(written)).call(()).await.err().unwrap().is::<Taken>());
            let mut requests = connections.take().unwrap().0.requests;
            requests.ready().await.unwrap();
            let message = Message::new(Parts { id: "m", body: &"x".repeat(length), ..Parts::default() }).unwrap();
            let unanswered = requests.send_request(hyper::Request::new(Full::new(message.body_shared())));
            let parts = tokio::select! {
                parts = writes.recv() => parts.unwrap(),
                _ = unanswered => unreachable!("nothing answers"),
            };
            assert_eq!(parts[1..], [(message.body().as_ptr().addr(), length)]);
        }
    }
}
