//! TLS: an accepted handshake, and certificates that can't be used.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::json;
use spillway_simulator::{Config, Server};

use super::client::start;

fn get(server: &Server, roots: RootCertStore) -> std::io::Result<String> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let socket = TcpStream::connect(server.url().trim_start_matches("https://"))?;
    let mut stream = StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), socket);
    let request = "GET /api/v2/users/me HTTP/1.1\r\nhost: x\r\nauthorization: Bearer x\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn serves_https() {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let tls = json!({ "cert": own.cert.pem(), "key": own.signing_key.serialize_pem() });
    let server = start(&json!({ "tls": tls }));
    assert!(server.url().starts_with("https://127.0.0.1:"));
    let mut roots = RootCertStore::empty();
    roots.add(own.cert.der().clone()).unwrap();
    assert!(get(&server, roots.clone()).unwrap().starts_with("HTTP/1.1 200 OK\r\n"));
    // During an outage of TLS no handshake succeeds; when it is over, connections are as before.
    server.set(r#"{"outages":[{"kind":"tls"}]}"#).unwrap();
    let error = get(&server, roots.clone()).unwrap_err();
    assert!(error.to_string().contains("HandshakeFailure"), "{error}");
    server.set(r#"{"outages":null}"#).unwrap();
    assert!(get(&server, roots).unwrap().starts_with("HTTP/1.1 200 OK\r\n"));
    // A client that doesn't know the certificate refuses it; the simulator lives on.
    let error = get(&server, RootCertStore::empty()).unwrap_err();
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
}

#[test]
fn unusable_certificates() {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert, key) = (own.cert.pem(), own.signing_key.serialize_pem());
    let cases = [
        (&*cert, "no key", "tls.key must be a PEM key"),
        ("no cert", &*key, "tls.cert and tls.key must fit together"),
        (&*cert, &*other.signing_key.serialize_pem(), "tls.cert and tls.key must fit together"),
    ];
    for (cert, key, message) in cases {
        let config = json!({ "tls": { "cert": cert, "key": key } });
        let error = Server::start(Config::from_json(&config.to_string()).unwrap()).unwrap_err();
        assert!(error.to_string().starts_with(message), "{error}");
        assert!(!error.to_string().contains("PRIVATE"), "{error}");
    }
}
