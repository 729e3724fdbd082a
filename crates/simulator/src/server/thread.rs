//! The thread's main loop: new connections, and what the owner wants.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::spawn_local;
use tokio_rustls::TlsAcceptor;

use super::door::Door;
use super::shared::Shared;
use super::{Order, connection, tls};
use crate::clock::Clock;
use crate::config::{Config, ConfigError};
use crate::model::{Model, Port};

/// How long to wait when no connection can be accepted, as with too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// Serves until nobody can give orders any more; then the model comes back with all that it has seen.
pub(super) fn run(
    config: Config,
    started: &Sender<io::Result<SocketAddr>>,
    orders: UnboundedReceiver<Order>,
) -> Option<Model> {
    let build = || Builder::new_current_thread().enable_io().enable_time().build_local(LocalOptions::default());
    let (address, tls) = (SocketAddr::new(config.host, config.port), config.tls.clone());
    let clock = Clock::start();
    let seed = config.seed;
    let model = Model::new(config, seed).starting_at(clock.epoch_us);
    let prepared = build().and_then(|runtime| {
        let guard = runtime.enter();
        let acceptor = tls.as_ref().map(tls::acceptor).transpose()?;
        let door = Door::new(address, model.port(clock.now_us()) == Port::Refused)?;
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
    let shared = Rc::new(Shared::new(clock, model));
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
        let change_in = steer(&shared, &mut door);
        tokio::select! {
            order = orders.recv() => match order {
                Some(order) => obey(&shared, &mut door, order),
                None => return,
            },
            accepted = door.accept() => match accepted {
                Ok(stream) => admit(&shared, stream, acceptor.as_ref()),
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            () = tokio::time::sleep(change_in.unwrap_or(Duration::MAX)), if change_in.is_some() => {}
        }
    }
}

/// Brings the port into the state that it is to have now; how long until it may have to change again.
fn steer(shared: &Shared, door: &mut Door) -> Option<Duration> {
    let now_us = shared.clock.now_us();
    let model = shared.model.borrow();
    let port = model.port(now_us);
    if shared.port.replace(port) != port && port != Port::Open {
        shared.outage.notify_waiters();
    }
    if door.set_refusing(port == Port::Refused).is_err() {
        return Some(ACCEPT_PAUSE);
    }
    // One microsecond is what the clock may be off.
    model.next_port_change_us(now_us).map(|at_us| Duration::from_micros(at_us - now_us + 1))
}

fn admit(shared: &Rc<Shared>, stream: TcpStream, acceptor: Option<&TlsAcceptor>) {
    if shared.port.get() == Port::BadTls {
        spawn_local(connection::fail_handshake(shared.clone(), stream));
    } else {
        spawn_local(connection::serve(shared.clone(), stream, acceptor.cloned()));
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
    let now_us = shared.clock.now_us();
    let config = model.config().merge(json)?;
    let port = model.port_with(now_us, &config);
    door.set_refusing(port == Port::Refused).map_err(|error| ConfigError {
        field: "refuse".to_owned(),
        message: format!("refuse can't be {}: {error}", config.refuse),
    })?;
    model.set(now_us, config);
    drop(model);
    steer(shared, door);
    Ok(())
}
