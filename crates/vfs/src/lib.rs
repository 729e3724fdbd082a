//! A VFS for SQLite that reports failed reads as failed reads.
//!
//! SQLite turns `EIO` into `SQLITE_CORRUPT`, and reads zeros where a read returns fewer bytes than were asked for: at
//! the end of a file that is right, inside it these zeros would replace what the file has. Here `EIO` is
//! `SQLITE_IOERR_READ` as any other error, and a short read is believed only where the file ends: what the file has
//! before its end is read once more, and then is there, or is an error.
//!
//! The VFS is a copy of another one (the system's) with another function for opening. That one gives each file a copy
//! of its table of functions, with another one for reading; so everything else is the other VFS's own.
#![allow(unsafe_code, reason = "SQLite's VFS is an interface of C; this crate exists to keep that out of all others")]

use std::collections::HashMap;
use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use rusqlite::ffi::{self, sqlite3_file, sqlite3_int64, sqlite3_io_methods, sqlite3_vfs};

/// The name that the VFS over the system's is registered by; over another one its name follows.
const NAME: &str = "spillway";

/// Names of the registered ones, by the name of the one below: they are leaked, so there is one of each.
static REGISTERED: LazyLock<Mutex<HashMap<Option<String>, &'static str>>> = LazyLock::new(Mutex::default);
/// Tables of functions, by the address of the one below: a VFS has a few, and all are static.
static TABLES: LazyLock<Mutex<HashMap<usize, &'static Table>>> = LazyLock::new(Mutex::default);

/// SQLite sees the first field.
#[repr(C)]
struct Vfs {
    own: sqlite3_vfs,
    below: *mut sqlite3_vfs,
}

/// SQLite sees the first field.
#[repr(C)]
struct Table {
    own: sqlite3_io_methods,
    below: *const sqlite3_io_methods,
}

// SAFETY: both are static and never written.
unsafe impl Sync for Table {}
// SAFETY: as above.
unsafe impl Send for Table {}

/// The name of the VFS over `below`, by default over the system's; `None` when there is no such VFS.
pub fn over(below: Option<&str>) -> Option<&'static str> {
    let mut registered = locked(&REGISTERED);
    if let Some(name) = registered.get(&below.map(str::to_owned)) {
        return Some(name);
    }
    let name = below.map_or_else(|| NAME.to_owned(), |below| format!("{NAME}-{below}"));
    register(below, &name)?;
    let name: &'static str = name.leak();
    registered.insert(below.map(str::to_owned), name);
    Some(name)
}

fn register(below: Option<&str>, name: &str) -> Option<()> {
    let (below, name) = (below.map(CString::new).transpose().ok()?, CString::new(name).ok()?);
    // SAFETY: a registered VFS lives as long as the process, and so do ours and its name, which are leaked.
    unsafe {
        if ffi::sqlite3_initialize() != ffi::SQLITE_OK {
            return None;
        }
        let below = ffi::sqlite3_vfs_find(below.as_ref().map_or(ptr::null(), |name| name.as_ptr()));
        if below.is_null() {
            return None;
        }
        let mut own: sqlite3_vfs = ptr::read(below);
        own.pNext = ptr::null_mut();
        own.zName = name.into_raw();
        own.xOpen = Some(open);
        let vfs = Box::leak(Box::new(Vfs { own, below }));
        (ffi::sqlite3_vfs_register(&raw mut vfs.own, 0) == ffi::SQLITE_OK).then_some(())
    }
}

unsafe extern "C" fn open(
    vfs: *mut sqlite3_vfs,
    name: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite gives our VFS, and room for a file of the one below; whatever that makes of the arguments is
    // right.
    unsafe {
        let below = (*vfs.cast::<Vfs>()).below;
        let Some(below_open) = (*below).xOpen else { return ffi::SQLITE_ERROR };
        let code = below_open(below, name, file, flags, out_flags);
        // A file that could not be opened has none, or one to be closed by.
        if code == ffi::SQLITE_OK && !(*file).pMethods.is_null() {
            (*file).pMethods = table_over((*file).pMethods);
        }
        code
    }
}

/// The table of functions over `below`, which is static.
unsafe fn table_over(below: *const sqlite3_io_methods) -> *const sqlite3_io_methods {
    let mut tables = locked(&TABLES);
    let table: &'static Table = tables.entry(below as usize).or_insert_with(|| {
        // SAFETY: a table of functions, by what the caller says.
        let mut own: sqlite3_io_methods = unsafe { ptr::read(below) };
        own.xRead = Some(read);
        Box::leak(Box::new(Table { own, below }))
    });
    &raw const table.own
}

unsafe extern "C" fn read(file: *mut sqlite3_file, out: *mut c_void, amount: c_int, offset: sqlite3_int64) -> c_int {
    // SAFETY: `open` has given the file one of our tables, which lead to those below; SQLite gives room for `amount`
    // bytes at `out`, and no more than these are touched.
    unsafe {
        let below = &*(*(*file).pMethods.cast::<Table>()).below;
        let (Some(below_read), Some(file_size)) = (below.xRead, below.xFileSize) else { return ffi::SQLITE_ERROR };
        match below_read(file, out, amount, offset) {
            ffi::SQLITE_IOERR_SHORT_READ => {}
            code => return failed(code),
        }
        let mut size = 0;
        if file_size(file, &raw mut size) != ffi::SQLITE_OK {
            return ffi::SQLITE_IOERR_READ;
        }
        let there = c_int::try_from(size.saturating_sub(offset).max(0)).unwrap_or(c_int::MAX).min(amount);
        if there > 0 {
            // The file may also have grown meanwhile.
            match below_read(file, out, there, offset) {
                ffi::SQLITE_OK if there == amount => return ffi::SQLITE_OK,
                ffi::SQLITE_OK => {}
                ffi::SQLITE_IOERR_SHORT_READ => return ffi::SQLITE_IOERR_READ,
                code => return failed(code),
            }
        }
        ptr::write_bytes(out.cast::<u8>().add(there as usize), 0, (amount - there) as usize);
        ffi::SQLITE_IOERR_SHORT_READ
    }
}

/// A code of the VFS below: of what it calls a damaged file system, SQLite would make a damaged database.
fn failed(code: c_int) -> c_int {
    if code == ffi::SQLITE_IOERR_CORRUPTFS { ffi::SQLITE_IOERR_READ } else { code }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
