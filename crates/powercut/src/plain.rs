//! Reads that SQLite is not asked for.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::disk::Disk;

/// Reads from a file at an offset, if the disk of its directory lets it.
pub fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    match disk_of(file).and_then(|(disk, path)| disk.read(&path, bytes.len())) {
        Some(failure) => failure.errno().map_or(Ok(0), |errno| Err(io::Error::from_raw_os_error(errno))),
        None => really_read_at(file, bytes, offset),
    }
}

/// The disk of an open file, where the system tells its name; else it is a disk that never fails.
fn disk_of(file: &File) -> Option<(Arc<Disk>, PathBuf)> {
    #[cfg(target_os = "linux")]
    {
        use std::os::fd::AsRawFd;
        let path = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()?;
        Disk::at(&path).map(|disk| (disk, path))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = file;
        None
    }
}

#[cfg(unix)]
fn really_read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, bytes, offset)
}

#[cfg(windows)]
fn really_read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, bytes, offset)
}
