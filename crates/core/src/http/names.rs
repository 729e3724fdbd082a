//! Host names to addresses, as the system looks them up, on a thread of its own for each lookup.
//!
//! reqwest would use the runtime's pool of threads, which panics when the system gives it no thread: the request would
//! never end. Here the lookup fails, and with it the attempt, which is repeated.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::thread;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::oneshot;

/// The system's names.
#[derive(Debug)]
pub(super) struct SystemNames;

impl Resolve for SystemNames {
    fn resolve(&self, name: Name) -> Resolving {
        // The port is put in by the caller.
        Box::pin(async move { Ok(Box::new(addresses(name.as_str().to_owned(), 0).await?) as Addrs) })
    }
}

/// The addresses of a host.
///
/// # Errors
/// When the name is unknown, or there is no thread to look it up on.
pub(crate) async fn addresses(host: String, port: u16) -> io::Result<impl Iterator<Item = SocketAddr> + Send> {
    let (answer, answered) = oneshot::channel();
    // Nobody listens any more once the time to connect is up.
    let look_up = move || drop(answer.send((host.as_str(), port).to_socket_addrs()));
    thread::Builder::new().name("spillway-names".to_owned()).spawn(look_up)?;
    answered.await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says what it expects by unwrapping it")]
    use super::*;

    #[tokio::test]
    async fn a_name_has_the_addresses_that_the_system_knows_and_another_is_an_error() {
        let found = SystemNames.resolve("localhost".parse().unwrap()).await.unwrap();
        assert!(found.map(|address| address.ip()).all(|ip| ip.is_loopback()));
        assert!(SystemNames.resolve("nowhere.invalid".parse().unwrap()).await.is_err());
    }
}
