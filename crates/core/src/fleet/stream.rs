//! A connection to a node, encrypted or not, before anything is said on it.

use std::io;
use std::sync::Arc;

use redis::{ErrorKind, RedisError};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::http::{names, tls};
use crate::settings::Node;

/// Both directions of a connection.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Connects to the first address of the node that takes a connection. Trusts whom the HTTP client trusts.
pub(super) async fn open(node: &Node, encrypted: bool) -> Result<Box<dyn Stream>, RedisError> {
    let tcp = connect(node).await?;
    tcp.set_nodelay(true)?;
    if !encrypted {
        return Ok(Box::new(tcp));
    }
    let refused = |problem: String| RedisError::from((ErrorKind::InvalidClientConfig, "TLS can't be used", problem));
    let mut config = tls::configuration().map_err(|error| refused(error.to_string()))?;
    // It isn't HTTP.
    config.alpn_protocols.clear();
    let name = ServerName::try_from(node.host.clone()).map_err(|error| refused(error.to_string()))?;
    Ok(Box::new(TlsConnector::from(Arc::new(config)).connect(name, tcp).await?))
}

async fn connect(node: &Node) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in names::addresses(node.host.clone(), node.port).await? {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}
