//! A Genesys-like server to test against.
//!
//! [`Model`] is the server without I/O: quotas, faults, tokens and a ledger on a clock that the caller holds.
//! [`Server`] is the same model behind HTTP/1.1 on a thread of its own. Both take a [`Config`].

mod answer;
mod clock;
pub mod config;
mod content;
mod faults;
mod headers;
mod ledger;
pub mod limit;
mod model;
mod others;
mod random;
mod request;
mod retry_after;
mod server;
mod tokens;

pub use config::{Config, ConfigError};
pub use headers::Headers;
pub use ledger::{Flight, Report};
pub use model::{Cut, Model, Port, Reply, Travel};
pub use request::Request;
pub use server::Server;
