//! A client that hides nothing: what it sends and reads are bytes on a socket.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use spillway_simulator::{Config, Server};

/// Far above what any wait of a test takes.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn start(config: &Value) -> Server {
    Server::start(Config::from_json(&config.to_string()).unwrap()).unwrap()
}

pub(crate) fn ledger(server: &Server) -> Value {
    serde_json::from_str(&server.ledger_json(true)).unwrap()
}

/// Waits until the ledger has counted so many.
pub(crate) fn until_counted(server: &Server, name: &str, count: u64) {
    let started = Instant::now();
    while ledger(server)[name].as_u64().unwrap() < count {
        assert!(started.elapsed() < PATIENCE, "{name} is not {count} within {PATIENCE:?}");
        thread::sleep(Duration::from_millis(1));
    }
}

pub(crate) struct Client(TcpStream);

/// An answer: status, the head in lower case, and the body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Value,
}

impl Client {
    pub(crate) fn connect(server: &Server) -> std::io::Result<Self> {
        let stream = TcpStream::connect(server.url().trim_start_matches("http://"))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self(stream))
    }

    pub(crate) fn send(&mut self, method: &str, path: &str, headers: &str, body: &str) {
        let length = body.len();
        let text = format!("{method} {path} HTTP/1.1\r\nhost: x\r\n{headers}content-length: {length}\r\n\r\n{body}");
        self.0.write_all(text.as_bytes()).unwrap();
    }

    /// Sends a body without end until there is an answer.
    pub(crate) fn endless(&mut self, method: &str, path: &str) -> Answer {
        let head = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer x\r\n");
        self.0.write_all(format!("{head}transfer-encoding: chunked\r\n\r\n").as_bytes()).unwrap();
        let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
        self.0.set_nonblocking(true).unwrap();
        while self.0.peek(&mut [0]).is_err() {
            let mut rest = chunk.as_bytes();
            while let Err(error) = self.0.peek(&mut [0])
                && error.kind() == std::io::ErrorKind::WouldBlock
                && !rest.is_empty()
            {
                rest = &rest[self.0.write(rest).unwrap_or(0)..];
            }
        }
        self.0.set_nonblocking(false).unwrap();
        self.answer()
    }

    /// A message to a conversation.
    pub(crate) fn message(&mut self, conversation: &str, id: &str) {
        let path = format!("/api/v2/messaging/conversations/{conversation}/messages");
        self.send("POST", &path, "authorization: Bearer mine\r\n", &format!(r#"{{"id":"{id}"}}"#));
    }

    pub(crate) fn answer(&mut self) -> Answer {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.0.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        let length = head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap().parse().unwrap();
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        Answer { status: head[9..12].parse().unwrap(), body: serde_json::from_slice(&body).unwrap_or_default(), head }
    }

    /// Closes its end, as a client does that gives up, and waits until the server has seen that and closed its own.
    pub(crate) fn give_up(mut self) {
        self.0.shutdown(Shutdown::Write).unwrap();
        assert_eq!(self.0.read(&mut [0]).unwrap(), 0, "an answer to nobody");
    }

    /// All bytes until the connection's end, and whether that was a reset.
    pub(crate) fn rest(mut self) -> (Vec<u8>, bool) {
        let mut bytes = Vec::new();
        let end = self.0.read_to_end(&mut bytes);
        (bytes, end.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset))
    }
}
