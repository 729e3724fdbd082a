//! How a connection is taken from reqwest.
//!
//! reqwest knows how to connect – names, time limits, TLS and its roots, proxies – but what it does for each request
//! apart from that costs more than the request itself. So a layer around its connector takes every connection away as
//! soon as it is made, and hands it to [`Connections`]; requests go to hyper directly.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::client::conn::http1::Builder;
use tower_layer::Layer;
use tower_service::Service;

use super::connections::Connections;
use super::stream::{HEAD_BYTES_MAX, HEADERS_MAX, Stream};

pub(super) type Failure = Box<dyn Error + Send + Sync>;

/// What the request that asked for a connection is told: there is one, but not for reqwest.
#[derive(Debug)]
pub(super) struct TakenOver;

impl fmt::Display for TakenOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection was taken over")
    }
}

impl Error for TakenOver {}

/// Whether reqwest failed only since its connection lies among the idle ones.
pub(super) fn is_taken(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.is::<TakenOver>() {
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
            let (stream, head) = Stream::new(connect.await?);
            let handshake = Builder::new().max_headers(HEADERS_MAX).max_header_size(HEAD_BYTES_MAX).handshake(stream);
            let (requests, exchange) = handshake.await?;
            let task = tokio::spawn(exchange).abort_handle();
            connections.add(requests, head, task);
            Err(Failure::from(TakenOver))
        })
    }
}
