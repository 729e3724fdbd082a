//! A disk for tests: a SQLite VFS over real files that keeps apart what was written and what was synced. At a chosen
//! operation the power goes, and what was not synced is kept, lost or torn, sector by sector; or writes fail until it
//! is told otherwise.
//!
//! Files belong to the [`Disk`] of their directory, so that many tests use the one VFS that is registered at a time.

mod disk;
mod plain;
mod vfs;

pub use self::disk::{Disk, Failure, ReadFailure};
pub use self::plain::read_at;
pub use self::vfs::{VFS, install};
