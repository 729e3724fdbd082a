//! The store in a file, on a disk that the test can take away.

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use spillway_core::clock::Clock;
use spillway_core::store::file::{Options, SqliteStore};
use spillway_core::store::{Store, StoreEvent};
use spillway_powercut::{Disk, Failure, VFS, install};
use tempfile::TempDir;

use super::medium::Medium;
use crate::draw::Draw;
use crate::fixture::options;

pub struct File {
    directory: TempDir,
    disk: Arc<Disk>,
    /// A process knows its own lock by the path: by another one it is as good as another process.
    links: Cell<u32>,
}

impl File {
    pub fn new() -> Self {
        install();
        let directory = tempfile::tempdir().unwrap();
        let disk = Disk::of(directory.path());
        Self { directory, disk, links: Cell::new(0) }
    }

    fn path(&self) -> PathBuf {
        let directory = match self.links.get() {
            0 => self.directory.path().into(),
            number => self.directory.path().join(format!("link-{number}")),
        };
        directory.join("outbox.db")
    }

    fn lock(&self) -> PathBuf {
        self.directory.path().join("outbox.db-lock")
    }

    /// Opens an organization's part of it.
    pub fn open_for(
        &self,
        organization: &str,
        clock: Clock,
        tell: Box<dyn FnMut(StoreEvent) + Send>,
    ) -> Box<dyn Store> {
        let organization = organization.to_owned();
        let options =
            Options { vfs: Some(VFS.into()), patience: Duration::ZERO, organization, ..options(&self.path()) };
        Box::new(SqliteStore::open(options, clock, tell).unwrap())
    }
}

impl Medium for File {
    fn open(&self, clock: Clock, tell: Box<dyn FnMut(StoreEvent) + Send>) -> Box<dyn Store> {
        self.open_for("acme", clock, tell)
    }

    fn cut(&self) {
        self.disk.fail_at(self.disk.operations() + 1, Failure::Cut);
    }

    fn restart(&self) {
        let mut draw = Draw::stream(self.disk.operations(), 0);
        self.disk.lose_power(&mut || draw.next());
    }

    fn break_down(&self) {
        self.disk.fail_at(self.disk.operations() + 1, Failure::Broken);
    }

    fn recover(&self) {
        self.disk.mend();
    }

    fn let_go(&self) {
        let _ = fs::remove_file(self.lock());
        let number = self.links.get() + 1;
        symlink(self.directory.path(), self.directory.path().join(format!("link-{number}"))).unwrap();
        self.links.set(number);
    }
}

impl Drop for File {
    fn drop(&mut self) {
        self.disk.forget();
    }
}
