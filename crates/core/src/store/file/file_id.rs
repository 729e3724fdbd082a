//! A file, whatever names it has: names can be taken away from a file that is open, and be given to another one. And
//! how long a file is.
//!
//! Both are asked around each commit, and on Linux without asking for anything else: a query of a file's times makes
//! the time stamp of the next write differ from them (multigrain timestamps, Linux 6.13), and then `fdatasync` has to
//! write the inode as well, and wait for that. It cost a message that is sent alone a third of its time.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::Path;

/// Bytes of the file that the name leads to; links are followed.
pub(super) fn bytes_at(path: &Path) -> io::Result<u64> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
        // Where the call is not allowed, the other one still is.
        if let Ok(found) = statx(CWD, path, AtFlags::empty(), StatxFlags::SIZE) {
            return Ok(found.stx_size);
        }
    }
    fs::metadata(path).map(|metadata| metadata.len())
}

/// Tells files apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileId(u64, u64);

impl FileId {
    /// The file that the name leads to; a link is one itself.
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        #[cfg(target_os = "linux")]
        {
            use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
            // Where the call is not allowed, the other one still is.
            if let Ok(found) = statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::INO) {
                let device = rustix::fs::makedev(found.stx_dev_major, found.stx_dev_minor);
                return Ok(Self(device, found.stx_ino));
            }
        }
        fs::symlink_metadata(path).map(|metadata| Self::from_metadata(&metadata))
    }

    /// As the kernel's table of locks names it; none where there is no such table.
    pub(super) fn in_lock_table(&self) -> Option<String> {
        #[cfg(target_os = "linux")]
        {
            let (major, minor) = (rustix::fs::major(self.0), rustix::fs::minor(self.0));
            Some(format!("{major:02x}:{minor:02x}:{}", self.1))
        }
        #[cfg(not(target_os = "linux"))]
        None
    }

    /// A file that is open.
    pub(super) fn of(file: &File) -> io::Result<Self> {
        file.metadata().map(|metadata| Self::from_metadata(&metadata))
    }

    #[cfg(unix)]
    fn from_metadata(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self(metadata.dev(), metadata.ino())
    }

    /// Windows doesn't let go of a file that is open, so that it is there is all there is to ask.
    #[cfg(not(unix))]
    fn from_metadata(_: &Metadata) -> Self {
        Self(0, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_is_that_of_the_file_and_of_nothing_in_its_place() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        assert_eq!(bytes_at(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
        fs::write(&path, [0; 4_097]).unwrap();
        assert_eq!(bytes_at(&path).unwrap(), 4_097);
    }
}
