//! What a system runs out of. Such an error says nothing about what was asked for: it passes when some of it is free
//! again.

use std::io;

/// What there is not enough of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shortage {
    /// This process may open no more files and connections.
    ProcessDescriptors,
    /// Nor may any process of the system.
    SystemDescriptors,
    /// No more threads or processes.
    Threads,
    /// No more memory.
    Memory,
}

impl Shortage {
    /// `None` for an error of any other kind.
    #[cfg(unix)]
    pub(crate) fn of(error: &io::Error) -> Option<Self> {
        match error.raw_os_error()? {
            libc::EMFILE => Some(Self::ProcessDescriptors),
            libc::ENFILE => Some(Self::SystemDescriptors),
            // What `pthread_create` and `clone` say at the limit of threads and of a cgroup's pids.
            libc::EAGAIN => Some(Self::Threads),
            libc::ENOMEM => Some(Self::Memory),
            _ => None,
        }
    }

    /// `None` for an error of any other kind.
    #[cfg(not(unix))]
    pub(crate) fn of(error: &io::Error) -> Option<Self> {
        const TOO_MANY_OPEN_FILES: i32 = 4;
        const WSA_TOO_MANY_OPEN_FILES: i32 = 10_024;
        match error.raw_os_error()? {
            TOO_MANY_OPEN_FILES | WSA_TOO_MANY_OPEN_FILES => Some(Self::ProcessDescriptors),
            _ if error.kind() == io::ErrorKind::OutOfMemory => Some(Self::Memory),
            _ => None,
        }
    }

    /// The shortage of descriptors that there is at this moment: for errors of libraries that don't tell why a file
    /// could not be opened.
    pub(crate) fn of_descriptors_now() -> Option<Self> {
        let path = if cfg!(windows) { "NUL" } else { "/dev/null" };
        std::fs::File::open(path).err().as_ref().and_then(Self::of)
    }

    /// What there is none of.
    pub(crate) fn what(self) -> &'static str {
        match self {
            Self::ProcessDescriptors => "this process has no file descriptors left",
            Self::SystemDescriptors => "the system has no file descriptors left",
            Self::Threads => "no more threads may be started",
            Self::Memory => "there is no memory left",
        }
    }

    /// What to do about it.
    pub(crate) fn advice(self) -> &'static str {
        match self {
            Self::ProcessDescriptors => "close files and connections, or raise the limit on open files (ulimit -n)",
            Self::SystemDescriptors => "raise the system's limit on open files (fs.file-max)",
            Self::Threads => "raise the limit on threads (ulimit -u, the container's pids limit)",
            Self::Memory => "free some memory, or raise the process's limit",
        }
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn an_error_names_what_is_short_and_what_to_do() {
        for (code, shown, advised) in [
            (libc::EMFILE, "Too many open files (os error", "ulimit -n"),
            (libc::ENFILE, "os error", "fs.file-max"),
            (libc::EAGAIN, "os error", "ulimit -u"),
            (libc::ENOMEM, "os error", "memory"),
            (libc::EIO, "os error", ""),
        ] {
            let error = Error::resources("start it", &io::Error::from_raw_os_error(code));
            let text = error.to_string();
            assert_eq!(error.code(), "RESOURCES_EXHAUSTED");
            assert!(
                text.starts_with("could not start it: ") && text.contains(shown) && text.contains(advised),
                "{text}"
            );
        }
        assert_eq!(Shortage::of(&io::Error::from_raw_os_error(libc::ENOENT)), None);
        assert_eq!(Shortage::of_descriptors_now(), None);
    }
}
