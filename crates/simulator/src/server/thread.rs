//! The thread's main loop: new connections, and what the owner wants.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::spawn_local;
use tokio_rustls::TlsAcceptor;

use super::door::Door;
use super::{Order, connection, tls};
use crate::clock::Clock;
use crate::config::{Config, ConfigError};
use crate::model::Model;

/// How long to wait when no connection can be accepted, as with too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// What the tasks of the thread share.
pub(super) struct Shared {
    pub(super) clock: Clock,
    pub(super) model: RefCell<Model>,
    /// Tells the connections to end when their current request is answered.
    pub(super) outage: Notify,
}

/// Serves until nobody can give orders any more; then the model comes back with all that it has seen.
pub(super) fn run(
    config: Config,
    started: &Sender<io::Result<SocketAddr>>,
    orders: UnboundedReceiver<Order>,
) -> Option<Model> {
    let build = || Builder::new_current_thread().enable_io().enable_time().build_local(LocalOptions::default());
    let prepared = build().and_then(|runtime| {
        let guard = runtime.enter();
        let acceptor = config.tls.as_ref().map(tls::acceptor).transpose()?;
        let door = Door::new(SocketAddr::new(config.host, config.port), config.refuse)?;
        drop(guard);
        Ok((runtime, acceptor, door))
    });
    let (runtime, acceptor, door) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            let _ = started.send(Err(error));
            return None;
        }
    };
    let clock = Clock::start();
    let seed = config.seed;
    let model = Model::new(config, seed).starting_at(clock.epoch_us);
    let shared = Rc::new(Shared { clock, model: RefCell::new(model), outage: Notify::new() });
    let _ = started.send(Ok(door.address()));
    runtime.block_on(serve(shared.clone(), door, acceptor, orders));
    // Closes the connections, each of which shares the model.
    drop(runtime);
    Rc::into_inner(shared).map(|shared| shared.model.into_inner())
}

async fn serve(
    shared: Rc<Shared>,
    mut door: Door,
    acceptor: Option<TlsAcceptor>,
    mut orders: UnboundedReceiver<Order>,
) {
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some(order) => obey(&shared, &mut door, order),
                None => return,
            },
            accepted = door.accept() => match accepted {
                Ok(stream) => {
                    spawn_local(connection::serve(shared.clone(), stream, acceptor.clone()));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
        }
    }
}

fn obey(shared: &Shared, door: &mut Door, order: Order) {
    // An owner that has stopped listening has no use for the answer.
    match order {
        Order::Ledger { with_ids, answer } => {
            let _ = answer.send(shared.model.borrow().ledger(with_ids));
        }
        Order::Set { json, answer } => {
            let _ = answer.send(set(shared, door, &json));
        }
    }
}

fn set(shared: &Shared, door: &mut Door, json: &str) -> Result<(), ConfigError> {
    let mut model = shared.model.borrow_mut();
    let config = model.config().merge(json)?;
    door.set_refusing(config.refuse).map_err(|error| ConfigError {
        field: "refuse".to_owned(),
        message: format!("refuse can't be {}: {error}", config.refuse),
    })?;
    if config.refuse {
        shared.outage.notify_waiters();
    }
    model.set(shared.clock.now_us(), config);
    Ok(())
}
