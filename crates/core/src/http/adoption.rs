//! Keeps the pool from opening more connections than there are requests.
//!
//! hyper's pool starts a connect for a request that finds no idle connection. If another request leaves its connection
//! first, that one is used, and the connect goes on in the background: an orphan. The next request finds no idle
//! connection either, and starts another connect; under load that repeats until the first is done, and there are more
//! connections than `connections.max` requests can ever use. Here the next request waits for the orphan instead.

use std::error::Error;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task;
use tower_layer::Layer;
use tower_service::Service;

use crate::engine::registry::lock;

/// How long a connection may take from the orphan's connect through the pool to the request that waits for it.
const HANDOVER_MAX: Duration = Duration::from_millis(50);

/// Turns of the other tasks that it takes until a connection whose answer has just been read is in the pool again, or a
/// connect that has just been left is on its own.
const TURNS_MIN: usize = 3;

type Failure = Box<dyn Error + Send + Sync>;

/// Connects in the background that no request waits for; each tells when it is connected, or is dropped when it fails.
type Orphans = Arc<Mutex<Vec<oneshot::Receiver<()>>>>;

/// The layer around the connector.
#[derive(Clone, Debug, Default)]
pub(super) struct Adoption(Orphans);

/// The connector with the layer around it.
#[derive(Clone, Debug)]
pub(super) struct Adopting<S> {
    connector: S,
    orphans: Orphans,
}

impl<S> Layer<S> for Adoption {
    type Service = Adopting<S>;

    fn layer(&self, connector: S) -> Self::Service {
        Adopting { connector, orphans: Arc::clone(&self.0) }
    }
}

impl<S, Target> Service<Target> for Adopting<S>
where
    S: Service<Target, Error = Failure>,
    S::Response: 'static,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, Failure>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.connector.poll_ready(context)
    }

    fn call(&mut self, target: Target) -> Self::Future {
        Box::pin(adopt_or_connect(self.connector.call(target), Arc::clone(&self.orphans)))
    }
}

async fn adopt_or_connect<T>(
    connect: impl Future<Output = Result<T, Failure>>,
    orphans: Orphans,
) -> Result<T, Failure> {
    // The pool moves an orphan to a task of its own.
    let requester = task::try_id();
    let is_orphan = || task::try_id() != requester;
    for _ in 0..TURNS_MIN {
        task::yield_now().await;
    }
    while let Some(mut adopted) = Adopted::take(&orphans) {
        let is_connected = unless(is_orphan, adopted.settled()).await.ok_or("another connection was free first")?;
        if is_connected {
            // On its way through the pool to the request. Usually it is there at once, and this is the end.
            unless(is_orphan, tokio::time::sleep(HANDOVER_MAX)).await.ok_or("the connection is there")?;
        }
    }
    let mut connect = pin!(connect);
    let mut connected = None;
    let outcome = poll_fn(|context| {
        if connected.is_none() && is_orphan() {
            let (sender, receiver) = oneshot::channel();
            lock(&orphans).push(receiver);
            connected = Some(sender);
        }
        connect.as_mut().poll(context)
    })
    .await;
    if let (Some(connected), Ok(_)) = (connected, &outcome) {
        // Without an adopter the connection waits in the pool.
        let _ = connected.send(());
    }
    outcome
}

/// The future's output; none as soon as it is polled while `ended` is true.
async fn unless<T>(ended: impl Fn() -> bool, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|context| if ended() { Poll::Ready(None) } else { future.as_mut().poll(context).map(Some) }).await
}

/// An orphan that a request waits for; given back when the request doesn't need it any more.
struct Adopted<'o> {
    orphans: &'o Orphans,
    orphan: Option<oneshot::Receiver<()>>,
}

impl<'o> Adopted<'o> {
    fn take(orphans: &'o Orphans) -> Option<Self> {
        let orphan = lock(orphans).pop()?;
        Some(Self { orphans, orphan: Some(orphan) })
    }

    /// Whether it is connected; false when it failed.
    async fn settled(&mut self) -> bool {
        let Some(orphan) = &mut self.orphan else { return false };
        let is_connected = orphan.await.is_ok();
        self.orphan = None;
        is_connected
    }
}

impl Drop for Adopted<'_> {
    fn drop(&mut self) {
        if let Some(orphan) = self.orphan.take() {
            lock(self.orphans).push(orphan);
        }
    }
}
