//! The wire: reqwest makes an engine's connections and asks for its tokens, hyper carries the requests, and how their
//! answers read.

mod answer;
mod body;
mod clients;
mod connections;
mod headers;
mod limit;
mod memory;
pub(crate) mod names;
mod oauth;
mod proxy;
mod quote;
mod reachability;
mod request;
mod room;
mod stream;
mod takeover;
pub mod tls;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, StatusCode};
use reqwest::header::{HeaderMap, HeaderValue};

use self::answer::{Wanted, read};
use self::clients::Clients;
use self::connections::{Connections, Fate, Taken};
use self::headers::idle_max;
use self::limit::elapsed;
pub use self::oauth::TokenAnswer;
use self::request::Origin;
use self::takeover::is_taken;
use crate::error::Error;
use crate::retry::Answer;
use crate::settings::Settings;
use crate::shipment::Shipment;
use crate::shortage::Shortage;

/// The HTTP client of an engine.
#[derive(Debug)]
pub struct Client {
    clients: Clients,
    connections: Connections,
    origin: Origin,
    settings: Arc<Settings>,
}

/// A request that can be sent, and what is wanted of its answer.
#[derive(Debug)]
pub struct Ready {
    request: Request<Full<Bytes>>,
    timeout: Duration,
    wanted: Wanted,
}

impl Client {
    /// A client without any connection yet.
    ///
    /// # Errors
    /// When TLS can't be set up, for example without any root certificate on the machine.
    pub fn new(settings: Arc<Settings>) -> Result<Self, Error> {
        let connections = Connections::new();
        Ok(Self {
            clients: Clients::new(Arc::clone(&settings), connections.clone())?,
            connections,
            origin: Origin::of(&settings.api_url).ok_or_else(|| Error::config("apiUrl", "must be a URL".to_owned()))?,
            settings,
        })
    }

    /// The request for a shipment, in the room of an empty map of headers.
    ///
    /// # Errors
    /// Why it can't be sent: its path or one of its headers is none.
    pub fn request(&self, shipment: Shipment, token: &HeaderValue, headers: HeaderMap) -> Result<Ready, String> {
        let (timeout, wanted) = (shipment.timeout, Wanted::of(&shipment));
        let request =
            self.origin.request(shipment, token, headers).map_err(|error| format!("builder error: {error}"))?;
        Ok(Ready { request, timeout, wanted })
    }

    /// Sends a request, which is taken out of `ready`, and reads its answer within their limits. `spare` is for the
    /// next one: the answer's emptied headers, whose room would else be given back and asked for again.
    ///
    /// By reference, since what a future is made with is copied with it.
    pub async fn send(&self, ready: &mut Ready, spare: &mut HeaderMap) -> Answer {
        let Ready { request, timeout, wanted } = ready;
        let mut limit = pin!(elapsed(self.connections.clock(), *timeout));
        if self.clients.by_proxy() {
            let answer = Box::pin(self.send_by_proxy(std::mem::take(request), *wanted, limit)).await;
            // What reqwest has done with it until then, it doesn't tell.
            return answer.unwrap_or_else(|| late(*timeout, true));
        }
        let (response, taken) = loop {
            let mut taken = tokio::select! {
                biased;
                found = self.connection() => match found {
                    Ok(found) => found,
                    Err(failed) => return failed,
                },
                () = &mut limit => return late(*timeout, false),
            };
            taken.connection.head.begin();
            let sent = taken.connection.requests.try_send_request(std::mem::take(request));
            let mut failed = tokio::select! {
                biased;
                answered = sent => match answered {
                    Ok(response) => break (response, taken),
                    Err(failed) => failed,
                },
                () = &mut limit => {
                    self.connections.distrust(&taken, Fate::Silent);
                    return late(*timeout, true);
                }
            };
            self.connections.distrust(&taken, Fate::Ended);
            // A server may close an idle connection at the moment in which a request is given to it: what hyper hands
            // back was never sent, and goes on another.
            *request = match failed.take_message() {
                Some(unsent) if !taken.is_new => unsent,
                Some(_) => return Answer::Unsent { problem: sending(failed.error()) },
                None => return Answer::Unanswered { problem: sending(failed.error()) },
            };
        };
        taken.connection.head.end();
        let idle_max = idle_max(response.headers());
        let is_misdirected = matches!(response.status(), StatusCode::MISDIRECTED_REQUEST | StatusCode::TOO_EARLY);
        let (answer, is_whole) = read(response, *wanted, limit, spare).await;
        // The repetition must take another connection.
        if is_whole && !is_misdirected {
            self.connections.give_back(taken.connection, idle_max);
        }
        answer
    }

    /// An idle connection, or a new one.
    async fn connection(&self) -> Result<Taken, Answer> {
        loop {
            while let Some(mut taken) = self.connections.take() {
                match taken.connection.requests.ready().await {
                    Ok(()) => return Ok(taken),
                    // Of a server that closes each connection at once there is no end, so that is a failure like a
                    // refusal.
                    Err(error) if taken.is_new => return Err(Answer::Unsent { problem: connecting(&error) }),
                    Err(_) => {}
                }
            }
            // Seldom, and large.
            Box::pin(self.connect()).await?;
        }
    }

    /// Makes a connection, which is an idle one then.
    async fn connect(&self) -> Result<(), Answer> {
        let connector = self.clients.connector().map_err(|problem| Answer::Unsent { problem })?;
        loop {
            let reserved = self.connections.reserve().await;
            match connector.get(self.origin.url().clone()).send().await {
                Err(error) if is_taken(&error) => {
                    reserved.taken();
                    return Ok(());
                }
                Err(error) => {
                    drop(reserved);
                    if is_for_want_of_descriptors(&error) && self.connections.make_way().await {
                        continue;
                    }
                    return Err(Answer::Unsent { problem: chain(error) });
                }
                Ok(_) => return Err(Answer::Unsent { problem: "the connection was not taken over".to_owned() }),
            }
        }
    }
}

/// What came of a request whose time is up. Once hyper has it, any part of it may have been sent.
fn late(timeout: Duration, is_handed_over: bool) -> Answer {
    let ms = timeout.as_millis();
    if is_handed_over {
        Answer::Unanswered { problem: format!("no answer within {ms} ms") }
    } else {
        Answer::Unsent { problem: format!("no connection within {ms} ms") }
    }
}

/// Whether the connection failed because the process or the system is out of file descriptors.
fn is_for_want_of_descriptors(error: &reqwest::Error) -> bool {
    let mut shortages = with_causes(error).filter_map(|cause| Shortage::of(cause.downcast_ref()?));
    shortages.any(|shortage| matches!(shortage, Shortage::ProcessDescriptors | Shortage::SystemDescriptors))
}

/// An error and its causes, without the URL: the path holds ids of the caller's.
fn chain(error: reqwest::Error) -> String {
    causes(&error.without_url())
}

fn connecting(error: &hyper::Error) -> String {
    format!("error connecting: {}", causes(error))
}

fn sending(error: &hyper::Error) -> String {
    format!("error sending request: {}", causes(error))
}

fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut texts: Vec<String> = with_causes(error).map(ToString::to_string).collect();
    texts.dedup();
    texts.join(": ").chars().take(512).collect()
}

fn with_causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}
