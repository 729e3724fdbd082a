//! Which files may be an outbox: whatever is in one is sent with its organization's token, so nobody else may have
//! written it.
//!
//! The rules are those of `ssh` and `sudo` for their own files. The outbox and its companions are regular files of the
//! user that runs the process, which no other user may write. A directory that every user may write needs the sticky
//! bit, or anybody could take the files away. A directory's owner and group are not checked: each file that is used is
//! checked itself.
//!
//! The outbox also has one name in one place. A second hard link, or a bind mount of the file alone, has a write-ahead
//! log and a lock of its own, so that two processes would own it, and what is in the log would be lost with the
//! container.
//!
//! Nothing is opened here, so that a path that is refused is left as it is.

use std::fs::{self, Metadata};
use std::io;
use std::path::Path;

use super::companion::{COMPANIONS, companion, refused};
use super::fault::{Fault, Result};
use crate::error::StoreErrorKind;

/// Bytes of the longest suffix that a file beside an outbox may have: `.recovered-20261129T220500Z-99-journal` and some
/// more.
const SUFFIX_BYTES_MAX: usize = 40;
/// File systems have this limit on names, and SQLite the other one on paths.
const NAME_BYTES_MAX: usize = 255 - SUFFIX_BYTES_MAX;
const PATH_BYTES_MAX: usize = 511 - SUFFIX_BYTES_MAX;

/// Who must own the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// The user that runs the process.
    User,
    /// The same, but root may edit the files of others: those have all one owner then, or are root's.
    UserOrRoot,
}

/// Refuses an outbox that is not safe to use. Files that aren't there are as good as safe ones.
pub(super) fn check(path: &Path, owner: Owner) -> Result<()> {
    check_length(path)?;
    check_directory(path)?;
    check_files(path, owner)
}

/// The outbox and its companions.
pub(super) fn check_files(path: &Path, owner: Owner) -> Result<()> {
    let Some(found) = look(path)? else { return check_companions(path, &[own_uid()]) };
    if !found.is_file() {
        return Err(Fault::new(StoreErrorKind::Mismatch, "is a directory or a device, not a file"));
    }
    let owners = match owner {
        Owner::UserOrRoot if own_uid() == 0 => vec![uid(&found), 0],
        _ => vec![own_uid()],
    };
    check_file(path, &found, &owners, "")?;
    check_companions(path, &owners)
}

/// Whether a file that lies beside an outbox is as safe as that must be.
pub(super) fn is_safe(path: &Path) -> bool {
    let found = look(path).ok().flatten().filter(Metadata::is_file);
    found.is_some_and(|found| check_file(path, &found, &[own_uid()], "").is_ok())
}

fn check_companions(path: &Path, owners: &[u32]) -> Result<()> {
    for suffix in COMPANIONS {
        let companion = companion(path, suffix);
        match look(&companion)? {
            Some(found) if found.is_file() => check_file(&companion, &found, owners, suffix)?,
            Some(_) => return Err(refused(&companion)),
            None => {}
        }
    }
    Ok(())
}

/// What the name leads to, a link being one itself.
fn look(path: &Path) -> Result<Option<Metadata>> {
    match fs::symlink_metadata(path) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn check_length(path: &Path) -> Result<()> {
    let name_bytes = path.file_name().map_or(0, |name| name.as_encoded_bytes().len());
    let path_bytes = path.as_os_str().as_encoded_bytes().len();
    let what = if name_bytes > NAME_BYTES_MAX {
        format!("has a name that is too long: {name_bytes} bytes, at most {NAME_BYTES_MAX}")
    } else if path_bytes > PATH_BYTES_MAX {
        format!("has a path that is too long: {path_bytes} bytes, at most {PATH_BYTES_MAX}")
    } else {
        return Ok(());
    };
    Err(Fault::new(StoreErrorKind::Failed, what).with_advice("choose a shorter one: files beside it have longer names"))
}

fn check_directory(path: &Path) -> Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Some(found) = fs::metadata(directory).ok().filter(Metadata::is_dir) else {
        return Err(Fault::new(StoreErrorKind::Missing, "can't be made: its directory does not exist"));
    };
    let mode = mode(&found);
    if mode & WRITABLE_BY_ALL != 0 && mode & STICKY == 0 {
        let what = format!("is in a directory that every user may write and that has no sticky bit (mode {mode:04o})");
        return Err(Fault::new(StoreErrorKind::Mismatch, what)
            .with_advice("take that right away (chmod o-w), or set the bit (chmod +t), or make a directory for it"));
    }
    Ok(())
}

const WRITABLE_BY_ALL: u32 = 0o002;
const WRITABLE_BY_OTHERS: u32 = 0o022;
const STICKY: u32 = 0o1000;

/// `suffix` names the file in the error, which is about the outbox.
fn check_file(path: &Path, found: &Metadata, owners: &[u32], suffix: &str) -> Result<()> {
    let file = if suffix.is_empty() { String::new() } else { format!("has a {suffix} file that ") };
    let refuse =
        |what: String, advice| Err(Fault::new(StoreErrorKind::Mismatch, format!("{file}{what}")).with_advice(advice));
    let (uid, mode, names) = (uid(found), mode(found), names(found));
    if !owners.contains(&uid) {
        return refuse(
            format!("belongs to another user (uid {uid}, while this process runs as uid {})", own_uid()),
            "run as that user, or choose another path; change its owner only if you trust what is in it",
        );
    }
    if mode & WRITABLE_BY_OTHERS != 0 {
        return refuse(
            format!("can be written by other users (mode {mode:04o})"),
            "choose another path; make it private (chmod 600) only if you trust what is in it",
        );
    }
    if names > 1 {
        return refuse(
            format!("has {names} names (hard links), and a process could own it by each"),
            "remove the other names, or give this sender a copy",
        );
    }
    if is_mount_point(path) {
        return refuse(
            "is a mount point itself, so that the files beside it are not on the same volume".into(),
            "mount its directory instead of the file",
        );
    }
    Ok(())
}

/// Refuses a link to an outbox that another user has made, since that user chooses then whose messages are sent. The
/// system does the same in directories with the sticky bit, but not for who reads links itself, as
/// [`super::connection::absolute`] does.
pub(super) fn check_link(found: &Metadata) -> Result<()> {
    let uid = uid(found);
    if uid == own_uid() || uid == 0 {
        return Ok(());
    }
    let what = format!("is reached through a link of another user (uid {uid})");
    Err(Fault::new(StoreErrorKind::Mismatch, what).with_advice("give the path of the file itself"))
}

#[cfg(unix)]
mod system {
    use std::fs::Metadata;
    use std::os::unix::fs::MetadataExt;

    pub(super) fn own_uid() -> u32 {
        rustix::process::geteuid().as_raw()
    }

    pub(super) fn uid(found: &Metadata) -> u32 {
        found.uid()
    }

    pub(super) fn mode(found: &Metadata) -> u32 {
        found.mode() & 0o7777
    }

    pub(super) fn names(found: &Metadata) -> u64 {
        found.nlink()
    }
}

/// Windows has access lists instead, which a file inherits from its directory.
#[cfg(not(unix))]
mod system {
    use std::fs::Metadata;

    pub(super) fn own_uid() -> u32 {
        0
    }

    pub(super) fn uid(_: &Metadata) -> u32 {
        0
    }

    pub(super) fn mode(_: &Metadata) -> u32 {
        0
    }

    pub(super) fn names(_: &Metadata) -> u64 {
        1
    }
}

use system::{mode, names, own_uid, uid};

#[cfg(target_os = "linux")]
fn is_mount_point(path: &Path) -> bool {
    use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
    match statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::empty()) {
        Ok(found) if found.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT) => {
            found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)
        }
        // Linux before 5.8, or a sandbox.
        _ => fs::read("/proc/self/mountinfo").is_ok_and(|table| is_mounted_at(&table, path)),
    }
}

/// Whether a mount table (proc(5)) has a mount at this path, which is the fifth field of a line.
#[cfg(any(target_os = "linux", test))]
fn is_mounted_at(table: &[u8], path: &Path) -> bool {
    // Blanks in paths, and what begins an escape, are told by their octal codes.
    let mut escaped = Vec::new();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b' ' | b'\t' | b'\n' | b'\\' => escaped.extend(format!("\\{byte:03o}").bytes()),
            _ => escaped.push(*byte),
        }
    }
    table.split(|byte| *byte == b'\n').any(|line| line.split(|byte| *byte == b' ').nth(4) == Some(&*escaped))
}

/// Other systems mount directories.
#[cfg(not(target_os = "linux"))]
fn is_mount_point(_: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_table_tells_what_is_mounted_where() {
        let table =
            b"29 1 8:2 / / rw - ext4 /dev/sda2 rw\n36 29 8:2 /host/o.db /app/my\\040outbox.db rw - ext4 /dev/sda2 rw\n";
        assert!(is_mounted_at(table, Path::new("/app/my outbox.db")));
        assert!(!is_mounted_at(table, Path::new("/host/o.db")) && !is_mounted_at(table, Path::new("/app")));
    }
}
