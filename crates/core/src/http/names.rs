//! Host names to addresses, as the system looks them up, on a thread of its own for each lookup.
//!
//! reqwest would use the runtime's pool of threads, which panics when the system gives it no thread: the request would
//! never end. Here the lookup fails, and with it the attempt, which is repeated.

use std::net::ToSocketAddrs;
use std::thread;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::oneshot;

/// The system's names.
#[derive(Debug)]
pub(super) struct SystemNames;

impl Resolve for SystemNames {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            // The port is put in by the caller. Nobody listens any more once the time to connect is up.
            let look_up = move || drop(answer.send((name.as_str(), 0).to_socket_addrs()));
            thread::Builder::new().name("spillway-names".to_owned()).spawn(look_up)?;
            let addresses = answered.await??;
            Ok(Box::new(addresses) as Addrs)
        })
    }
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
