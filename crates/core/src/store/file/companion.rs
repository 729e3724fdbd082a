//! The files beside a store: their names, and how they are opened. Who may write in the directory can put there under
//! these names what they like; so no link is followed, and what is no regular file is refused before anything is done
//! to it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

use super::fault::{Fault, Result};
pub(super) use super::names::{COMPANIONS, companion};
use crate::error::StoreErrorKind;

/// A file that only its owner may read.
#[derive(Debug)]
pub(super) struct Private {
    pub(super) file: File,
    /// This opening has made it.
    pub(super) is_new: bool,
}

/// Removes a database that nobody needs any more, with its companions.
pub(super) fn remove(path: &Path) -> Result<()> {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        match fs::remove_file(companion(path, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

/// Opens a file for writing that only its owner may read, whatever the umask; makes it if it isn't there.
pub(super) fn open_private(path: &Path) -> Result<Private> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let (file, is_new) = match open_beside(path, &mut options) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            (open_beside(path, options.create_new(false)), false)
        }
        outcome => (outcome, true),
    };
    let file = file.map_err(|error| if is_regular(path) { error.into() } else { refused(path) })?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = file.metadata()?.permissions().mode() & 0o777;
        if mode != 0o600 {
            // Not ours to change when another user owns it; then it stays as that user wants it.
            let _ = file.set_permissions(fs::Permissions::from_mode(0o600));
        }
    }
    Ok(Private { file, is_new })
}

/// Opens a regular file, and no other through a link. What waits for its other end (a pipe) isn't waited for either.
pub(super) fn open_beside(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(options, libc::O_NOFOLLOW | libc::O_NONBLOCK);
    #[cfg(windows)]
    std::os::windows::fs::OpenOptionsExt::custom_flags(options, OPEN_REPARSE_POINT);
    let file = options.open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::ErrorKind::InvalidInput.into()) }
}

/// The link itself is opened, so that it can be seen to be one.
#[cfg(windows)]
const OPEN_REPARSE_POINT: u32 = 0x0020_0000;

/// Whether the name leads to a regular file, or nowhere yet.
fn is_regular(path: &Path) -> bool {
    fs::symlink_metadata(path).map_or(true, |found| found.is_file())
}

/// The name is taken by something else than a file.
pub(super) fn refused(path: &Path) -> Fault {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let what =
        format!("needs the name {name} for a file of its own, but a link, or something that is not a file, has it");
    Fault::new(StoreErrorKind::Mismatch, what).with_advice("remove that, or choose another path")
}
