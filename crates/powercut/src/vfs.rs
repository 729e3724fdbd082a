//! The table of C functions that SQLite calls: each asks the disk first, then does the same to the real file.
#![allow(unsafe_code, reason = "SQLite's VFS is an interface of C; this crate exists to keep that out of all others")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::{Arc, Once};

use rusqlite::ffi::{self, sqlite3_file, sqlite3_int64, sqlite3_io_methods, sqlite3_vfs};

use crate::disk::{Disk, Operation, ReadFailure};

/// The name that the VFS is registered by.
pub const VFS: &str = "powercut";

/// What SQLite allocates for a file: the first field is its own.
#[repr(C)]
struct Handle {
    base: sqlite3_file,
    file: *mut File,
}

struct File {
    /// None for a file that is no part of a store.
    disk: Option<(Arc<Disk>, PathBuf)>,
    /// The real file's structure, of the size that its VFS wants; of words, so that it is aligned.
    real: Vec<u64>,
}

impl File {
    fn real(&mut self) -> *mut sqlite3_file {
        self.real.as_mut_ptr().cast()
    }
}

/// Registers the VFS, once.
pub fn install() {
    static ONCE: Once = Once::new();
    // SAFETY: the default VFS lives as long as the process, and so does ours, which is leaked; SQLite is told of it
    // once.
    ONCE.call_once(|| unsafe {
        ffi::sqlite3_initialize();
        let base = ffi::sqlite3_vfs_find(ptr::null());
        let mut vfs: sqlite3_vfs = ptr::read(base);
        vfs.pNext = ptr::null_mut();
        vfs.zName = c"powercut".as_ptr();
        vfs.pAppData = base.cast();
        vfs.szOsFile = size_of::<Handle>() as c_int;
        vfs.xOpen = Some(open);
        vfs.xDelete = Some(delete);
        assert_eq!(ffi::sqlite3_vfs_register(Box::leak(Box::new(vfs)), 0), ffi::SQLITE_OK);
    });
}

static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

unsafe extern "C" fn open(
    vfs: *mut sqlite3_vfs,
    name: *const c_char,
    handle: *mut sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite gives our VFS, whose data is the real one, a name that lives as long as the file, and room for a
    // Handle.
    unsafe {
        let base: *mut sqlite3_vfs = (*vfs).pAppData.cast();
        (*handle).pMethods = ptr::null();
        let kept = ffi::SQLITE_OPEN_MAIN_DB | ffi::SQLITE_OPEN_WAL | ffi::SQLITE_OPEN_MAIN_JOURNAL;
        let path = if name.is_null() || flags & kept == 0 { None } else { Some(path_of(name)) };
        let disk = path.and_then(|path| Disk::at(&path).map(|disk| (disk, path)));
        if disk.as_ref().is_some_and(|(disk, _)| disk.is_cut()) {
            return ffi::SQLITE_CANTOPEN;
        }
        let existed = disk.as_ref().is_some_and(|(_, path)| path.exists());
        let words = ((*base).szOsFile as usize).div_ceil(size_of::<u64>());
        let mut file = Box::new(File { disk, real: vec![0; words] });
        let Some(real_open) = (*base).xOpen else { return ffi::SQLITE_ERROR };
        let code = real_open(base, name, file.real(), flags, out_flags);
        if code != ffi::SQLITE_OK {
            return code;
        }
        if let Some((disk, path)) = &file.disk {
            disk.opened(path, existed);
        }
        (*handle.cast::<Handle>()).file = Box::into_raw(file);
        (*handle).pMethods = &raw const METHODS;
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn delete(vfs: *mut sqlite3_vfs, name: *const c_char, sync_directory: c_int) -> c_int {
    // SAFETY: as in `open`.
    unsafe {
        let base: *mut sqlite3_vfs = (*vfs).pAppData.cast();
        let path = path_of(name);
        if let Some(disk) = Disk::at(&path).filter(|_| path.exists())
            && let Err(code) = disk.operate(&path, Operation::Delete { durably: sync_directory != 0 })
        {
            return code;
        }
        (*base).xDelete.map_or(ffi::SQLITE_ERROR, |real| real(base, name, 0))
    }
}

fn path_of(name: *const c_char) -> PathBuf {
    // SAFETY: SQLite's names end with a zero, and are ours: UTF-8.
    let name = unsafe { CStr::from_ptr(name) };
    Path::new(&*name.to_string_lossy()).into()
}

/// The file behind a handle, and the real one's functions.
unsafe fn parts<'a>(handle: *mut sqlite3_file) -> (&'a mut File, *mut sqlite3_file, &'a sqlite3_io_methods) {
    // SAFETY: `open` has made both, `close` ends them, and SQLite uses a connection's files from one thread at a time.
    unsafe {
        let file = &mut *(*handle.cast::<Handle>()).file;
        let real = file.real();
        (file, real, &*(*real).pMethods)
    }
}

/// A function that does nothing but the real one's work.
macro_rules! passed {
    ($name:ident, $method:ident, ($($argument:ident: $type:ty),*)) => {
        unsafe extern "C" fn $name(handle: *mut sqlite3_file, $($argument: $type),*) -> c_int {
            // SAFETY: the arguments are SQLite's, and go on as they are.
            unsafe {
                let (_, real, methods) = parts(handle);
                methods.$method.map_or(ffi::SQLITE_ERROR, |method| method(real, $($argument),*))
            }
        }
    };
}

passed!(file_size, xFileSize, (size: *mut sqlite3_int64));
passed!(lock, xLock, (level: c_int));
passed!(unlock, xUnlock, (level: c_int));
passed!(check_reserved_lock, xCheckReservedLock, (out: *mut c_int));
passed!(sector_size, xSectorSize, ());
passed!(device_characteristics, xDeviceCharacteristics, ());
passed!(shm_map, xShmMap, (page: c_int, size: c_int, extend: c_int, out: *mut *mut c_void));
passed!(shm_lock, xShmLock, (offset: c_int, count: c_int, flags: c_int));
passed!(shm_unmap, xShmUnmap, (delete: c_int));
passed!(real_read, xRead, (out: *mut c_void, amount: c_int, offset: sqlite3_int64));
passed!(real_write, xWrite, (bytes: *const c_void, amount: c_int, offset: sqlite3_int64));
passed!(real_truncate, xTruncate, (size: sqlite3_int64));
passed!(real_file_control, xFileControl, (operation: c_int, argument: *mut c_void));

unsafe extern "C" fn file_control(handle: *mut sqlite3_file, operation: c_int, argument: *mut c_void) -> c_int {
    if operation == ffi::SQLITE_FCNTL_SIZE_HINT || operation == ffi::SQLITE_FCNTL_CHUNK_SIZE {
        // Only hints; the real file would grow by them behind the disk's back.
        return ffi::SQLITE_OK;
    }
    // SAFETY: the arguments are SQLite's, and go on as they are.
    unsafe { real_file_control(handle, operation, argument) }
}

unsafe extern "C" fn read(handle: *mut sqlite3_file, out: *mut c_void, amount: c_int, offset: sqlite3_int64) -> c_int {
    // SAFETY: the arguments are SQLite's, and go on as they are.
    unsafe {
        let (file, ..) = parts(handle);
        if file.disk.as_ref().is_some_and(|(disk, _)| disk.is_unreadable()) {
            return ffi::SQLITE_IOERR_READ;
        }
        if let Some(failure) = file.disk.as_ref().and_then(|(disk, path)| disk.read(path, amount as usize)) {
            // As SQLite wants it of a short read: what is missing is zeros.
            ptr::write_bytes(out.cast::<u8>(), 0, amount as usize);
            if failure == ReadFailure::Short {
                real_read(handle, out, amount / 2, offset);
            }
            return failure.code();
        }
        real_read(handle, out, amount, offset)
    }
}

unsafe extern "C" fn write(
    handle: *mut sqlite3_file,
    bytes: *const c_void,
    amount: c_int,
    offset: sqlite3_int64,
) -> c_int {
    // SAFETY: SQLite gives `amount` bytes at `bytes`.
    unsafe {
        let (file, ..) = parts(handle);
        let written = std::slice::from_raw_parts(bytes.cast::<u8>(), amount as usize);
        match ask(file, Operation::Write(offset as u64, written)) {
            Ok(()) => real_write(handle, bytes, amount, offset),
            Err(code) => code,
        }
    }
}

unsafe extern "C" fn truncate(handle: *mut sqlite3_file, size: sqlite3_int64) -> c_int {
    // SAFETY: the arguments are SQLite's, and go on as they are.
    unsafe {
        match ask(parts(handle).0, Operation::Truncate(size as u64)) {
            Ok(()) => real_truncate(handle, size),
            Err(code) => code,
        }
    }
}

/// The real file isn't synced: its disk lives as long as the test, and a thousand histories would wait for it.
unsafe extern "C" fn sync(handle: *mut sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: the handle is SQLite's.
    let (file, ..) = unsafe { parts(handle) };
    if let Some((disk, _)) = &file.disk {
        disk.keep_pace();
    }
    match ask(file, Operation::Sync) {
        Ok(()) => ffi::SQLITE_OK,
        Err(code) => code,
    }
}

unsafe extern "C" fn shm_barrier(handle: *mut sqlite3_file) {
    // SAFETY: the handle is SQLite's.
    unsafe {
        let (_, real, methods) = parts(handle);
        if let Some(barrier) = methods.xShmBarrier {
            barrier(real);
        }
    }
}

unsafe extern "C" fn close(handle: *mut sqlite3_file) -> c_int {
    // SAFETY: SQLite uses the handle no more; what `open` has leaked is taken back.
    unsafe {
        let mut file = Box::from_raw((*handle.cast::<Handle>()).file);
        let real = file.real();
        (*(*real).pMethods).xClose.map_or(ffi::SQLITE_OK, |close| close(real))
    }
}

fn ask(file: &File, operation: Operation<'_>) -> Result<(), c_int> {
    match &file.disk {
        Some((disk, path)) => disk.operate(path, operation),
        None => Ok(()),
    }
}
