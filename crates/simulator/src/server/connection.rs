//! One connection, to its good or bad end.

use std::cell::Cell;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::exchange::exchange;
use super::shared::Shared;
use crate::model::Cut;

/// How long a TLS handshake may take.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// How long a client may go on sending when the server has said its last.
const LINGER_MAX: Duration = Duration::from_secs(1);
const UNREAD_CHUNK_BYTES: usize = 16 * 1024;
/// A fatal TLS alert, `handshake_failure` (RFC 8446, 6.2).
const HANDSHAKE_FAILURE: [u8; 7] = [21, 3, 3, 0, 2, 2, 40];
/// Not HTTP, whatever one does with it.
const GARBAGE: &[u8] = b"\x00\xff\x13\x37 this is not HTTP \r\n\r\n\x01\x02";

/// A stream whose TCP socket can be reached.
trait Wire: AsyncRead + AsyncWrite + Unpin {
    fn socket(&self) -> &TcpStream;
}

impl Wire for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

impl Wire for TlsStream<TcpStream> {
    fn socket(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// Counts a connection as open while it lives.
struct Opened(Rc<Shared>);

impl Opened {
    fn count(shared: Rc<Shared>) -> Self {
        shared.model.borrow_mut().connected();
        Self(shared)
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.model.borrow_mut().disconnected();
    }
}

/// Serves one connection. What goes wrong on it is the client's to notice.
pub(super) async fn serve(shared: Rc<Shared>, stream: TcpStream, acceptor: Option<TlsAcceptor>) {
    let _opened = Opened::count(shared.clone());
    let _ = stream.set_nodelay(true);
    let Some(acceptor) = acceptor else { return requests(shared, stream).await };
    if let Ok(Ok(stream)) = timeout(HANDSHAKE_MAX, acceptor.accept(stream)).await {
        requests(shared, stream).await;
    }
}

/// Answers the client's first words with the alert that no handshake is possible.
pub(super) async fn fail_handshake(shared: Rc<Shared>, mut stream: TcpStream) {
    let _opened = Opened::count(shared);
    let fail = async {
        if stream.read(&mut [0; UNREAD_CHUNK_BYTES]).await? > 0 {
            stream.write_all(&HANDSHAKE_FAILURE).await?;
            end(stream, Cut::None).await?;
        }
        io::Result::Ok(())
    };
    let _ = timeout(LINGER_MAX, fail).await;
}

async fn requests(shared: Rc<Shared>, wire: impl Wire) {
    let cut = Rc::new(Cell::new(Cut::None));
    let service = service_fn(|request| exchange(shared.clone(), cut.clone(), request));
    // Head and body in one buffer: a `send` of it costs the kernel less than a `writev` of both.
    let mut connection = http1::Builder::new().writev(false).serve_connection(TokioIo::new(wire), service);
    let mut outage = pin!(shared.outage.notified());
    let mut ending = false;
    loop {
        tokio::select! {
            // Its error is either the client's, or our own cut.
            _ = &mut connection => break,
            () = &mut outage, if !ending => {
                ending = true;
                std::pin::Pin::new(&mut connection).graceful_shutdown();
            }
        }
    }
    let wire = connection.into_parts().io.into_inner();
    let _ = timeout(LINGER_MAX, end(wire, cut.get())).await;
}

async fn end(mut wire: impl Wire, cut: Cut) -> io::Result<()> {
    match cut {
        Cut::Before => return wire.socket().set_zero_linger(),
        Cut::Garbage => wire.write_all(GARBAGE).await?,
        Cut::None | Cut::After => {}
    }
    wire.shutdown().await?;
    // Closing on unread bytes resets the connection, and the answer may be lost with it.
    if cut == Cut::None {
        let mut unread = vec![0; UNREAD_CHUNK_BYTES];
        while wire.read(&mut unread).await? > 0 {}
    }
    Ok(())
}
