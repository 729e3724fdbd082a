//! Requests through a proxy for plain HTTP, which reqwest sends. For HTTPS a proxy is a tunnel, and the connection
//! through it is like any other.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use reqwest::header::HeaderMap;

use super::answer::{Wanted, read};
use super::{Client, chain};
use crate::retry::Answer;

/// Whether there may be one.
pub(super) fn proxies_plain() -> bool {
    ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|url| !url.is_empty()))
}

impl Client {
    /// A proxy for plain HTTP wants whole URLs, and perhaps a password; reqwest knows which. None when time is up.
    pub(super) async fn send_by_proxy(
        &self,
        request: Request<Full<Bytes>>,
        wanted: Wanted,
        mut limit: Pin<&mut impl Future<Output = ()>>,
    ) -> Option<Answer> {
        let client = match self.clients.plain() {
            Ok(client) => client,
            Err(problem) => return Some(Answer::Unsent { problem }),
        };
        let sent = tokio::select! {
            biased;
            sent = client.execute(self.origin.absolute(request)) => sent,
            () = &mut limit => return None,
        };
        Some(match sent {
            Ok(response) => read(hyper::Response::from(response), wanted, limit, &mut HeaderMap::new()).await.0,
            Err(error) if error.is_connect() => Answer::Unsent { problem: chain(error) },
            Err(error) => Answer::Unanswered { problem: chain(error) },
        })
    }
}
