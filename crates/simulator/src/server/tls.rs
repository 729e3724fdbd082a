//! The certificate of an HTTPS simulator.

use std::io;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::config::Tls;

/// Reads chain and key. An error names the setting, never its content.
pub(super) fn acceptor(tls: &Tls) -> io::Result<TlsAcceptor> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(tls.cert.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|_| invalid("tls.cert must be a PEM certificate chain"))?;
    let key = PrivateKeyDer::from_pem_slice(tls.key.as_bytes()).map_err(|_| invalid("tls.key must be a PEM key"))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| invalid(&format!("tls.cert and tls.key must fit together: {error}")))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn invalid(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}
