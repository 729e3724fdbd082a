//! The wire: one reqwest client an engine, and how its answers read.

mod adoption;
mod evidence;
mod oauth;

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Certificate, Method};

use self::adoption::Adoption;
pub use self::evidence::{Evidence, QUOTAS_MAX, Told, Wait, WaitSource};
pub use self::oauth::TokenAnswer;
use crate::clock::Clock;
use crate::error::Error;
use crate::outcome::Response;
use crate::retry::Answer;
use crate::settings::Settings;

/// The largest answer to a message that is kept; a `request()` sets its own limit.
pub const MESSAGE_RESPONSE_BYTES_MAX: usize = 65_536;
/// Idle connections are dropped before the usual load balancer (60 s) drops them under a request.
const IDLE: Duration = Duration::from_secs(50);
const USER_AGENT: &str = concat!("spillway/", env!("CARGO_PKG_VERSION"));
const CORRELATION_ID: &str = "inin-correlation-id";
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// One request, ready to be sent.
#[derive(Clone, Debug)]
pub struct Shipment {
    /// Upper-case method.
    pub method: Box<str>,
    /// Path and query.
    pub path: String,
    /// Extra headers.
    pub headers: Vec<(String, String)>,
    /// Sent as JSON unless `headers` says otherwise.
    pub body: Option<Bytes>,
    /// The message's id, so that a server that knows how can recognise a repeat.
    pub idempotency_key: Option<Box<str>>,
    /// From sending to the last byte of the answer.
    pub timeout: Duration,
    /// The largest response body that is read.
    pub response_bytes_max: usize,
    /// Whether the answer's headers are wanted.
    pub keep_headers: bool,
    /// How many messages it carries; none for a `request()`.
    pub messages: u32,
}

/// The HTTP client of an engine.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    settings: Arc<Settings>,
}

impl Client {
    /// Builds the client: rustls with the system's roots (and `NODE_EXTRA_CA_CERTS`), `HTTPS_PROXY` and its like, HTTP/1.1.
    ///
    /// # Errors
    /// When TLS can't be set up, for example without any root certificate on the machine.
    pub fn new(settings: Arc<Settings>) -> Result<Self, Error> {
        // Fails only when another provider is installed already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let limits = &settings.connections;
        let mut builder = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .connect_timeout(limits.connect_timeout)
            .connector_layer(Adoption::default())
            .pool_max_idle_per_host(limits.max)
            .pool_idle_timeout(IDLE);
        let plain = [&settings.api_url, &settings.login_url].iter().all(|url| url.starts_with("http:"));
        builder = match extra_roots()? {
            // Without TLS no roots are needed, and a bare machine has none.
            _ if plain => builder.tls_certs_only([]),
            Some(roots) => builder.tls_certs_merge(roots),
            None => builder,
        };
        let http = builder
            .build()
            .map_err(|error| Error::config("apiUrl", format!("needs TLS, which can't be set up: {}", chain(error))))?;
        Ok(Self { http, settings })
    }

    /// Sends a request and reads its answer within their limits.
    pub async fn send(&self, shipment: Shipment, token: Arc<HeaderValue>) -> Answer {
        let (timeout, bytes_max, keep_headers) = (shipment.timeout, shipment.response_bytes_max, shipment.keep_headers);
        let request = match self.request(shipment, &token) {
            Ok(request) => request,
            Err(error) => return Answer::Unsent { problem: chain(error) },
        };
        let mut limit = pin!(tokio::time::sleep(timeout));
        let sent = tokio::select! {
            sent = self.http.execute(request) => sent,
            () = &mut limit => {
                return Answer::Unanswered { problem: format!("no answer within {} ms", timeout.as_millis()) };
            }
        };
        match sent {
            Ok(response) => read(response, bytes_max, keep_headers, limit).await,
            Err(error) if error.is_connect() => Answer::Unsent { problem: chain(error) },
            Err(error) => Answer::Unanswered { problem: chain(error) },
        }
    }

    fn request(&self, shipment: Shipment, token: &HeaderValue) -> Result<reqwest::Request, reqwest::Error> {
        let method = Method::from_bytes(shipment.method.as_bytes()).unwrap_or(Method::POST);
        let url = format!("{}{}", self.settings.api_url, shipment.path);
        let mut request = self.http.request(method, url).header(AUTHORIZATION, token);
        let typed = shipment.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(CONTENT_TYPE.as_str()));
        for (name, value) in shipment.headers {
            request = request.header(name, value);
        }
        if let Some(id) = shipment.idempotency_key {
            let safe = utf8_percent_encode(&id, IDEMPOTENCY).to_string();
            request = request.header(IDEMPOTENCY_KEY, safe);
        }
        if let Some(body) = shipment.body {
            if !typed {
                request = request.header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            }
            request = request.body(body);
        }
        request.build()
    }
}

const IDEMPOTENCY: &percent_encoding::AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b':');

/// Reads the body up to its limits. The status is known here, so that a cut or slow body doesn't make the outcome unknown.
async fn read(
    mut response: reqwest::Response,
    bytes_max: usize,
    keep_headers: bool,
    limit: Pin<&mut tokio::time::Sleep>,
) -> Answer {
    let status = response.status().as_u16();
    let headers = std::mem::take(response.headers_mut());
    let mut body = BytesMut::new();
    let mut too_large = false;
    let reading = async {
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > bytes_max => {
                    body.extend_from_slice(&chunk[..bytes_max - body.len()]);
                    too_large = true;
                    return false;
                }
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    };
    let complete = tokio::select! {
        complete = reading => complete,
        () = limit => false,
    };
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let evidence = Evidence::read(text, &body, Clock::epoch_ms_now());
    let correlation_id = text(CORRELATION_ID).map(|id| id.chars().take(128).collect());
    let headers = if keep_headers { lower_case(&headers) } else { Vec::new() };
    let response = Response { status, body: body.freeze(), truncated: !complete, headers, correlation_id };
    if too_large { Answer::TooLarge { response, evidence } } else { Answer::Answered { response, evidence } }
}

fn lower_case(headers: &HeaderMap) -> Vec<(String, String)> {
    let pair = |(name, value): (&reqwest::header::HeaderName, &HeaderValue)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    headers.iter().map(pair).collect()
}

/// Further roots that Node.js users name in the environment.
fn extra_roots() -> Result<Option<Vec<Certificate>>, Error> {
    const NAME: &str = "NODE_EXTRA_CA_CERTS";
    let Some(path) = std::env::var_os(NAME).filter(|path| !path.is_empty()) else { return Ok(None) };
    let read = std::fs::read(path).map_err(|error| error.to_string());
    let roots = read.and_then(|pem| Certificate::from_pem_bundle(&pem).map_err(chain));
    roots.map(Some).map_err(|error| Error::config(NAME, format!("must name a PEM file of certificates: {error}")))
}

/// An error and its causes, without the URL: the path holds ids of the caller's.
fn chain(error: reqwest::Error) -> String {
    let error = error.without_url();
    let causes = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
    let mut texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.dedup();
    texts.join(": ").chars().take(512).collect()
}
