//! The port: open, or held but closed.

use std::future::pending;
use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 4_096;

/// A port that belongs to the simulator whether it listens or not.
pub(super) struct Door {
    address: SocketAddr,
    latch: Latch,
}

enum Latch {
    /// Connects are accepted.
    Open(TcpListener),
    /// The port is bound, so that nobody else gets it, but connects are refused.
    Held(TcpSocket),
    /// The port is lost: it could not be bound again.
    Lost,
}

impl Door {
    /// Binds the port; 0 lets the system choose.
    pub(super) fn new(address: SocketAddr, refusing: bool) -> io::Result<Self> {
        let socket = bind(address)?;
        let address = socket.local_addr()?;
        let latch = if refusing { Latch::Held(socket) } else { Latch::Open(socket.listen(BACKLOG)?) };
        Ok(Self { address, latch })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next connection; never while connects are refused.
    pub(super) async fn accept(&self) -> io::Result<TcpStream> {
        match &self.latch {
            Latch::Open(listener) => listener.accept().await.map(|(stream, _)| stream),
            Latch::Held(_) | Latch::Lost => pending().await,
        }
    }

    /// Closes the port or opens it again.
    pub(super) fn set_refusing(&mut self, refusing: bool) -> io::Result<()> {
        self.latch = match (std::mem::replace(&mut self.latch, Latch::Lost), refusing) {
            (Latch::Open(listener), true) => {
                drop(listener);
                Latch::Held(bind(self.address)?)
            }
            (Latch::Lost, true) => Latch::Held(bind(self.address)?),
            (Latch::Held(socket), false) => Latch::Open(socket.listen(BACKLOG)?),
            (Latch::Lost, false) => Latch::Open(bind(self.address)?.listen(BACKLOG)?),
            (same, _) => same,
        };
        Ok(())
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Connections of before the closing still hold the port. (On Windows the option would let strangers in.)
    if cfg!(unix) {
        socket.set_reuseaddr(true)?;
    }
    socket.bind(address)?;
    Ok(socket)
}
