//! The model behind HTTP/1.1, on a thread of its own.

mod body;
mod connection;
mod door;
mod exchange;
mod shared;
mod thread;
mod tls;

use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{Builder, JoinHandle};

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::config::{Config, ConfigError};
use crate::ledger::Report;
use crate::model::Model;

/// A running simulator. It ends with [`Server::close`], at the latest when it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    https: bool,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    Open {
        orders: UnboundedSender<Order>,
        thread: JoinHandle<Option<Model>>,
    },
    Closed(Box<Model>),
    /// The thread has died.
    Lost,
}

/// What the owner wants of the thread.
enum Order {
    Ledger { with_ids: bool, answer: mpsc::Sender<Report> },
    Set { json: String, answer: mpsc::Sender<Result<(), ConfigError>> },
}

impl Server {
    /// Starts a simulator, and returns when its port is bound. An error says that the port can't be had, or that `tls`
    /// holds no usable certificate and key.
    pub fn start(config: Config) -> io::Result<Self> {
        let https = config.tls.is_some();
        let (started, start) = mpsc::channel();
        let (orders, order_queue) = unbounded_channel();
        let thread =
            Builder::new().name("spillway-sim".to_owned()).spawn(move || thread::run(config, &started, order_queue))?;
        let address = match start.recv() {
            Ok(bound) => bound?,
            Err(_) => return Err(io::Error::other("the simulator's thread has ended")),
        };
        Ok(Self { address, https, state: Mutex::new(State::Open { orders, thread }) })
    }

    /// Where it serves: `http://127.0.0.1:PORT`, without a slash at the end.
    pub fn url(&self) -> String {
        let scheme = if self.https { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// What it has seen so far, also after its end; `with_ids`: with the count of each message id, too.
    pub fn ledger(&self, with_ids: bool) -> Report {
        let mut state = self.state();
        if let State::Open { orders, .. } = &*state {
            let (answer, answered) = mpsc::channel();
            let _ = orders.send(Order::Ledger { with_ids, answer });
            if let Ok(report) = answered.recv() {
                return report;
            }
            *state = State::Lost;
        }
        match &*state {
            State::Closed(model) => model.ledger(with_ids),
            _ => Report::default(),
        }
    }

    /// [`Server::ledger`] as JSON.
    pub fn ledger_json(&self, with_ids: bool) -> String {
        serde_json::to_string(&self.ledger(with_ids)).unwrap_or_default()
    }

    /// Lays a partial configuration over the running one, see [`Config::merge`]. It is in force when this returns;
    /// nothing changes on an error. After the end it does nothing.
    pub fn set(&self, json: &str) -> Result<(), ConfigError> {
        let state = self.state();
        let State::Open { orders, .. } = &*state else { return Ok(()) };
        let (answer, answered) = mpsc::channel();
        let _ = orders.send(Order::Set { json: json.to_owned(), answer });
        answered.recv().unwrap_or(Ok(()))
    }

    /// Closes the port and all connections, and waits for the thread's end. Again it does nothing.
    pub fn close(&self) {
        let mut state = self.state();
        *state = match std::mem::replace(&mut *state, State::Lost) {
            State::Open { orders, thread } => {
                // The thread ends when nobody can give it orders any more.
                drop(orders);
                match thread.join() {
                    Ok(Some(model)) => State::Closed(Box::new(model)),
                    _ => State::Lost,
                }
            }
            ended => ended,
        };
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.close();
    }
}
