//! A shipment as a request: built from parts that are checked once, not parsed again for each.

use std::borrow::Cow;

use bytes::Bytes;
use http_body_util::Full;
use hyper::http::uri::{PathAndQuery, Uri};
use hyper::{Method, Request};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;
use reqwest::header::Entry;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue,
    USER_AGENT as USER_AGENT_NAME,
};

use super::headers::header_value;
use crate::shipment::{Key, Shipment};

pub(super) const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("spillway/", env!("CARGO_PKG_VERSION")));
const ANYTHING: HeaderValue = HeaderValue::from_static("*/*");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Ours and the usual ones of a call, so that the map need not grow.
const HEADERS_EXPECTED: usize = 12;

const IDEMPOTENCY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b':');

/// Where an engine's requests go.
#[derive(Debug)]
pub(super) struct Origin {
    url: Url,
    /// Of the API URL; before every path.
    prefix: String,
    host: HeaderValue,
}

impl Origin {
    /// By a URL that the settings have checked.
    pub(super) fn of(api_url: &str) -> Option<Self> {
        let url = Url::parse(api_url).ok()?;
        let host = match url.port() {
            Some(port) => format!("{}:{port}", url.host_str()?),
            None => url.host_str()?.to_owned(),
        };
        let prefix = url.path().trim_end_matches('/').to_owned();
        Some(Self { host: host.try_into().ok()?, prefix, url })
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// The request for a shipment, with a path alone as its target; an error is one of the caller's own headers or
    /// path.
    /// `headers` is an empty map, which may have room already.
    pub(super) fn request(
        &self,
        shipment: Shipment,
        token: &HeaderValue,
        mut headers: HeaderMap,
    ) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let uri = self.uri(shipment.path)?;
        headers.reserve(HEADERS_EXPECTED);
        headers.append(AUTHORIZATION, token.clone());
        for (name, value) in &shipment.headers {
            headers.append(HeaderName::from_bytes(name.as_bytes())?, header_value(value)?);
        }
        if let Some(id) = shipment.idempotency_key {
            headers.append(IDEMPOTENCY_KEY, idempotency_key(id)?);
        }
        let method = Method::from_bytes(shipment.method.as_bytes()).unwrap_or(Method::POST);
        if shipment.body.is_some() {
            headers.entry(CONTENT_TYPE).or_insert(JSON);
        } else if matches!(method, Method::POST | Method::PUT | Method::PATCH) {
            // RFC 9110, 8.6: gateways may refuse one of these without a length.
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        for (name, default) in [(ACCEPT, ANYTHING), (USER_AGENT_NAME, USER_AGENT)] {
            match headers.entry(name) {
                // A caller that wants none says so by an empty value.
                Entry::Occupied(given) if given.get().is_empty() => drop(given.remove()),
                Entry::Occupied(_) => {}
                Entry::Vacant(none) => drop(none.insert(default)),
            }
        }
        headers.entry(HOST).or_insert_with(|| self.host.clone());
        let mut request = Request::new(Full::new(shipment.body.unwrap_or_default()));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// The same request as reqwest takes it, with a whole URL.
    pub(super) fn absolute(&self, request: Request<Full<Bytes>>) -> reqwest::Request {
        let (parts, body) = request.into_parts();
        let mut url = self.url.clone();
        url.set_path(parts.uri.path());
        url.set_query(parts.uri.query());
        let mut whole = reqwest::Request::new(parts.method, url);
        *whole.headers_mut() = parts.headers;
        *whole.body_mut() = Some(reqwest::Body::wrap(body));
        whole
    }

    fn uri(&self, path: String) -> Result<Uri, hyper::http::Error> {
        let whole = match (is_plain(&path), &*self.prefix) {
            (true, "") => path,
            (true, prefix) => [prefix, &path].concat(),
            (false, _) => self.normalized(&path),
        };
        Ok(PathAndQuery::from_maybe_shared(Bytes::from(whole))?.into())
    }

    /// As the URL standard has it: dots resolved, what must be encoded encoded.
    fn normalized(&self, path: &str) -> String {
        let base = self.url.as_str().trim_end_matches('/');
        match Url::parse(&format!("{base}{path}")) {
            Ok(url) => match url.query() {
                Some(query) => format!("{}?{query}", url.path()),
                None => url.path().to_owned(),
            },
            Err(_) => format!("{}{path}", self.prefix),
        }
    }
}

/// Most ids have nothing that must be encoded, and become the value as they are.
fn idempotency_key(id: Key) -> Result<HeaderValue, hyper::http::Error> {
    let harmless = |byte: u8| byte.is_ascii_alphanumeric() | (byte == b'-');
    // To its end, as in `is_plain`.
    if id.bytes().fold(true, |all, byte| all & harmless(byte)) {
        return Ok(HeaderValue::from_maybe_shared(id.into_bytes())?);
    }
    let safe = Cow::from(utf8_percent_encode(&id, IDEMPOTENCY));
    Ok(HeaderValue::from_str(&safe)?)
}

/// Whether the URL standard would leave the path as it is.
fn is_plain(path: &str) -> bool {
    let harmless = |byte: u8| {
        byte.is_ascii_alphanumeric() | matches!(byte, b'-'..=b'/') | (byte == b'_') | (byte == b'~') | (byte == b'%')
    };
    let dotted = |at: u8, next: u8| (at == b'/') & ((next == b'.') | (next == b'%') | (next == b'/'));
    // To their ends, and without a way out in between: so the compiler looks at many bytes at once.
    let all_harmless = path.bytes().fold(true, |all, byte| all & harmless(byte));
    let any_dotted = path.bytes().zip(path.bytes().skip(1)).fold(false, |any, (at, next)| any | dotted(at, next));
    path.starts_with('/') && all_harmless && !any_dotted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(api_url: &str, path: &str) -> String {
        Origin::of(api_url).unwrap().uri(path.to_owned()).unwrap().to_string()
    }

    #[test]
    fn a_path_that_is_plain_is_what_the_url_standard_makes_of_it() {
        for path in ["/a/b", "/a/b%41/c%20d", "/a-b_c~d.e", "/", "/a/"] {
            assert!(is_plain(path), "{path}");
            assert_eq!(Url::parse(&format!("http://host{path}")).unwrap().path(), path);
        }
    }

    #[test]
    fn other_paths_are_as_the_url_standard_has_them() {
        for (path, expected) in [
            ("/a/../b", "/x/b"),
            ("/a/%2e%2E/b", "/x/b"),
            ("/a b?c=d e&f='g'", "/x/a%20b?c=d%20e&f=%27g%27"),
            ("/a?b#c", "/x/a?b"),
            ("/ü", "/x/%C3%BC"),
            ("/a:b@c", "/x/a:b@c"),
        ] {
            assert!(!is_plain(path), "{path}");
            assert_eq!(target("http://host/x", path), expected);
        }
    }

    #[test]
    fn the_host_names_a_port_that_is_not_the_usual() {
        for (url, host) in [
            ("http://host", "host"),
            ("https://host:443/x", "host"),
            ("http://host:8080", "host:8080"),
            ("http://[::1]:80/", "[::1]"),
        ] {
            assert_eq!(Origin::of(url).unwrap().host, host);
        }
    }
}
