//! A real Redis or Valkey for tests, on a free port of this machine; found on the PATH, or installed where Debian's
//! packages can be.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

const PORTS_TRIED_MAX: u32 = 5;

/// A server that ends with this.
pub(crate) struct Server {
    program: &'static str,
    arguments: &'static [&'static str],
    child: Child,
    /// On the loopback.
    pub(crate) port: u16,
    folder: TempDir,
}

impl Server {
    /// Starts a `redis-server`.
    pub(crate) fn redis() -> Self {
        Self::find("redis-server", &[])
            .expect("a redis-server is needed on the PATH, and installing Debian's did not work")
    }

    /// Starts a `redis-server` that is to be a node of a cluster.
    pub(crate) fn cluster_node() -> Self {
        Self::find("redis-server", &["--cluster-enabled", "yes"])
            .expect("a redis-server is needed on the PATH, and installing Debian's did not work")
    }

    /// Starts a `valkey-server`, if there is one.
    pub(crate) fn valkey() -> Option<Self> {
        Self::find("valkey-server", &[])
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Ends it as a crash does.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again on its port, without what it knew.
    pub(crate) fn restart(&mut self) {
        let folder = self.folder.path().to_owned();
        let started = launch(self.program, self.arguments, &folder, self.port);
        self.child = started.expect("the port is still free");
    }

    fn find(program: &'static str, arguments: &'static [&'static str]) -> Option<Self> {
        let is_there = || Command::new(program).arg("--version").stdout(Stdio::null()).status().is_ok();
        if !is_there() {
            install(program);
        }
        is_there().then(|| Self::start(program, arguments))
    }

    fn start(program: &'static str, arguments: &'static [&'static str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        for _ in 0..PORTS_TRIED_MAX {
            // Another process may take the port before the server does. A node of a cluster takes another one, 10,000
            // above.
            let port = loop {
                let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
                let port = free.expect("a port is free").port();
                if port <= 55_535 {
                    break port;
                }
            };
            if let Some(child) = launch(program, arguments, folder.path(), port) {
                return Self { program, arguments, child, port, folder };
            }
        }
        panic!("{program} did not start on any of {PORTS_TRIED_MAX} ports");
    }
}

fn launch(program: &str, arguments: &[&str], folder: &Path, port: u16) -> Option<Child> {
    let mut child = Command::new(program)
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"])
        .arg(folder)
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .expect("it can be started");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    if lines.any(|line| line.is_ok_and(|line| line.contains("Ready to accept connections"))) {
        // What it says later is read by nobody, and must not stop it.
        std::thread::spawn(move || lines.for_each(drop));
        return Some(child);
    }
    let _ = child.wait();
    None
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn install(package: &str) {
    for arguments in [&["-qq", "update"][..], &["-qq", "install", "-y", package]] {
        for (program, first) in [("apt-get", None), ("sudo", Some(["--non-interactive", "apt-get"]))] {
            let mut command = Command::new(program);
            command.args(first.iter().flatten()).args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
            if command.status().is_ok_and(|status| status.success()) {
                break;
            }
        }
    }
}
