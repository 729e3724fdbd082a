//! Files that others made, can write, or own: refused, and left as they are, with nothing beside them.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use spillway_core::error::{Error, StoreErrorKind};
use spillway_core::store::file::{Editor, Options};

use crate::fixture::*;

/// The user `nobody`.
const STRANGER: u32 = 65_534;

fn beside(path: &Path, suffix: &str) -> PathBuf {
    format!("{}{suffix}", path.display()).into()
}

fn names(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path.parent().unwrap()).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// An outbox with some messages, all of it in one file.
fn written(path: &Path, messages: u64) {
    let mut fixture = Fixture::open(path);
    let at = fixture.now();
    fixture.store.apply(inserts(1..=messages, at));
    fixture.settled(messages);
    fixture.close();
    for suffix in ["-wal", "-shm", "-lock"] {
        fs::remove_file(beside(path, suffix)).unwrap();
    }
}

/// Opening it fails, says this, and changes nothing.
fn refused(path: &Path, parts: &[&str]) -> Error {
    let before = (names(path), fs::read(path).ok(), fs::metadata(path).ok().map(|found| found.permissions()));
    let opened = Fixture::try_open(options(path));
    let error = opened.err().unwrap_or_else(|| panic!("opened, where {parts:?} was expected"));
    let text = error.to_string();
    assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    let after = (names(path), fs::read(path).ok(), fs::metadata(path).ok().map(|found| found.permissions()));
    assert!(before == after, "{:?} became {:?}", before.0, after.0);
    error
}

/// Tells who reads the test's output what it could not try.
#[allow(clippy::print_stderr, reason = "a test that can't run here must not pass silently")]
fn said(what: &str) {
    eprintln!("{what}");
}

/// Whether this user may give files away; says so where it may not.
fn may_chown(path: &Path) -> bool {
    let may = chown(path, Some(STRANGER), Some(STRANGER)).is_ok();
    if !may {
        said("not run: only root can give a file to another user");
    }
    may
}

#[test]
fn an_outbox_that_others_can_write_is_refused() {
    for mode in [0o660, 0o602, 0o666, 0o777] {
        let (_directory, path) = place();
        written(&path, 3);
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        assert_eq!(
            kind_of(&refused(&path, &["written by other users", &format!("mode {mode:04o}")])),
            StoreErrorKind::Mismatch
        );
        assert_eq!(kind_of(&Editor::open(&path).err().unwrap()), StoreErrorKind::Mismatch);
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let fixture = Fixture::open(&path);
        assert_eq!(fixture.found.len(), 3, "who may only read it changes nothing");
        fixture.close();
    }
}

#[test]
fn a_companion_that_others_can_write_is_refused() {
    for suffix in ["-wal", "-shm", "-journal", "-lock"] {
        let (_directory, path) = place();
        written(&path, 1);
        fs::write(beside(&path, suffix), "").unwrap();
        fs::set_permissions(beside(&path, suffix), Permissions::from_mode(0o666)).unwrap();
        refused(&path, &[&format!("a {suffix} file"), "written by other users"]);
    }
}

#[test]
fn files_of_another_user_are_refused() {
    for suffix in ["", "-wal", "-shm", "-journal", "-lock"] {
        let (_directory, path) = place();
        written(&path, 1);
        let file = beside(&path, suffix);
        if !suffix.is_empty() {
            fs::write(&file, "").unwrap();
        }
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        if !may_chown(&file) {
            return;
        }
        assert_eq!(kind_of(&refused(&path, &["belongs to another user (uid 65534"])), StoreErrorKind::Mismatch);
    }
    // A link of theirs leads wherever they like.
    let (directory, path) = place();
    written(&path, 1);
    let link = directory.path().join("link.db");
    symlink(&path, &link).unwrap();
    Fixture::open(&link).close();
    std::os::unix::fs::lchown(&link, Some(STRANGER), None).unwrap();
    refused(&link, &["link of another user"]);
}

#[test]
fn a_directory_that_all_may_write_needs_the_sticky_bit() {
    let (directory, path) = place();
    let set = |mode| fs::set_permissions(directory.path(), Permissions::from_mode(mode)).unwrap();
    set(0o777);
    refused(&path, &["every user may write", "mode 0777", "chmod"]);
    for mode in [0o1777, 0o775, 0o700] {
        set(mode);
        Fixture::open(&path).close();
    }
}

#[test]
fn a_file_with_two_names_is_refused_by_each() {
    let (directory, path) = place();
    written(&path, 3);
    let other = directory.path().join("copy.db");
    fs::hard_link(&path, &other).unwrap();
    for name in [&path, &other] {
        assert_eq!(kind_of(&refused(name, &["2 names", "copy"])), StoreErrorKind::Mismatch);
        assert_eq!(kind_of(&Editor::open(name).err().unwrap()), StoreErrorKind::Mismatch);
    }
    fs::remove_file(&other).unwrap();
    Fixture::open(&path).close();
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_that_is_mounted_by_itself_is_refused() {
    let (directory, path) = place();
    let host = directory.path().join("host.db");
    written(&host, 3);
    fs::write(&path, "").unwrap();
    let mount =
        |args: &[&Path]| Command::new("mount").arg("--bind").args(args).output().is_ok_and(|out| out.status.success());
    if !mount(&[&host, &path]) {
        said("not run: only root can mount, and not in every container");
        return;
    }
    let error = Fixture::try_open(options(&path)).err().unwrap();
    let made = names(&path);
    assert!(Command::new("umount").arg(&path).status().unwrap().success());
    assert_eq!((kind_of(&error), made), (StoreErrorKind::Mismatch, vec!["host.db".to_owned(), "outbox.db".to_owned()]));
    assert!(error.to_string().contains("mount its directory"), "{error}");
}

/// A chat program's file: tables of the same names, and nothing that says whose it is.
const CHAT: &str = "CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT); CREATE TABLE letters(id);
    CREATE TABLE wire(id); CREATE TABLE messages(id INTEGER PRIMARY KEY, body TEXT);
    INSERT INTO messages(body) VALUES('precious');";

#[test]
fn the_database_of_another_application_is_refused() {
    for (setting, has_crashed) in [
        ("", false),
        ("PRAGMA user_version = 2;", false),
        ("PRAGMA application_id = 7;", false),
        ("PRAGMA journal_mode = WAL;", false),
        // All of its tables are in the log.
        ("PRAGMA journal_mode = WAL;", true),
    ] {
        let (_other_directory, original) = place();
        let (_directory, path) = place();
        let db = rusqlite::Connection::open(&original).unwrap();
        db.execute_batch(&format!("{setting}{CHAT}")).unwrap();
        if has_crashed {
            fs::copy(beside(&original, "-wal"), beside(&path, "-wal")).unwrap();
        } else {
            db.close().unwrap();
        }
        fs::copy(&original, &path).unwrap();
        assert_eq!(kind_of(&refused(&path, &["another application"])), StoreErrorKind::Mismatch, "{setting}");
        assert_eq!(kind_of(&Editor::open(&path).err().unwrap()), StoreErrorKind::Mismatch, "{setting}");
        let db = rusqlite::Connection::open(&path).unwrap();
        let body: String = db.query_row("SELECT body FROM messages", [], |row| row.get(0)).unwrap();
        assert_eq!(body, "precious");
    }
    // Damaged it is another application's still.
    let (_directory, path) = place();
    rusqlite::Connection::open(&path).unwrap().execute_batch(CHAT).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    bytes[100] = 77;
    fs::write(&path, &bytes).unwrap();
    refused(&path, &["another application"]);
    bytes[..16].fill(0xAA);
    fs::write(&path, &bytes).unwrap();
    refused(&path, &["not an outbox"]);
}

/// Makes a database with these statements, and closes it.
fn database(path: &Path, sql: &str) {
    let db = rusqlite::Connection::open(path).unwrap();
    db.execute_batch(sql).unwrap();
    db.close().unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}

const FILLED: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
    INSERT INTO jobs(organization, body) SELECT 'precious', hex(randomblob(200)) FROM n;";
/// Names of ours for columns, and of anybody's.
const JOBS: &str =
    "CREATE TABLE jobs(seq INTEGER PRIMARY KEY, organization TEXT, created_ms INTEGER, not_before_ms INTEGER,
    body TEXT NOT NULL);";

/// A lock that an earlier outbox has left says nothing of the file that is there now.
#[test]
fn a_sound_database_is_refused_whatever_its_tables_are_called() {
    for sql in [
        "CREATE TABLE messages(seq INTEGER PRIMARY KEY, id TEXT); CREATE TABLE meta(name TEXT PRIMARY KEY, value) WITHOUT ROWID",
        "CREATE TABLE letters(number INTEGER PRIMARY KEY, id TEXT)",
        "CREATE TABLE messages(seq INTEGER PRIMARY KEY, id TEXT, conversation TEXT, not_before_ms INTEGER, body BLOB);
         CREATE TABLE meta(name TEXT, value); INSERT INTO meta VALUES ('schema', 3), ('organization', 'acme')",
        "CREATE TABLE notes(text); INSERT INTO notes VALUES ('CREATE TABLE messages(not_before_ms INTEGER)'), ('created_ms')",
        JOBS,
        "PRAGMA page_size = 1024; CREATE TABLE messages(id)",
        "PRAGMA encoding = 'UTF-16'; CREATE TABLE messages(id)",
        "CREATE VIEW messages AS SELECT 1 AS id; CREATE VIEW letters AS SELECT 1 AS id",
        // Nothing is in it yet, or any more.
        "PRAGMA user_version = 5",
        "PRAGMA journal_mode = WAL; PRAGMA user_version = 5",
        "PRAGMA application_id = 7",
        "VACUUM",
        "CREATE TABLE jobs(body); INSERT INTO jobs VALUES (zeroblob(50000)); DROP TABLE jobs",
    ] {
        for is_locked in [false, true] {
            let (_directory, path) = place();
            database(&path, sql);
            if is_locked {
                fs::write(beside(&path, "-lock"), "").unwrap();
                fs::set_permissions(beside(&path, "-lock"), Permissions::from_mode(0o600)).unwrap();
                let error = Fixture::try_open(options(&path)).err().unwrap_or_else(|| panic!("opened: {sql}"));
                assert_eq!(kind_of(&error), StoreErrorKind::Mismatch, "{sql}: {error}");
            } else {
                let error = refused(&path, &["another application"]);
                assert_eq!(kind_of(&error), StoreErrorKind::Mismatch, "{sql}");
            }
        }
    }
}

#[test]
fn a_damaged_database_of_another_application_is_refused() {
    let (_directory, original) = place();
    database(&original, &format!("{JOBS}{FILLED}"));
    let sound = fs::read(&original).unwrap();
    type Damage = fn(&mut [u8]);
    let damages: [(&str, Damage); 5] = [
        ("the kind of the first page", |bytes| bytes[100] = 77),
        ("the cells of the first page", |bytes| bytes[105] = 200),
        ("the root of its table", |bytes| bytes[4_096..8_192].fill(0xAA)),
        ("a leaf", |bytes| bytes[12_288..16_384].fill(0)),
        ("the header", |bytes| bytes[..100].fill(0xAA)),
    ];
    for (name, damage) in damages {
        let (_directory, path) = place();
        let mut bytes = sound.clone();
        damage(&mut bytes);
        fs::write(&path, &bytes).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(kind_of(&refused(&path, &["is not an outbox"])), StoreErrorKind::Mismatch, "{name}");
    }
    // A log without the file that it belongs to.
    let (_other_directory, other) = place();
    let (_directory, path) = place();
    let db = rusqlite::Connection::open(&other).unwrap();
    db.execute_batch(&format!("PRAGMA journal_mode = WAL; {CHAT}")).unwrap();
    fs::copy(beside(&other, "-wal"), beside(&path, "-wal")).unwrap();
    fs::write(&path, "").unwrap();
    for name in [path.clone(), beside(&path, "-wal")] {
        fs::set_permissions(name, Permissions::from_mode(0o600)).unwrap();
    }
    let log = fs::read(beside(&path, "-wal")).unwrap();
    refused(&path, &["another application"]);
    assert!(fs::read(beside(&path, "-wal")).unwrap() == log);
    // A text that names what is in an outbox.
    fs::remove_file(beside(&path, "-wal")).unwrap();
    fs::write(&path, "{\"created_ms\": 1, \"organization\": \"not_before_ms INTEGER\"}\n".repeat(200)).unwrap();
    refused(&path, &["no database either"]);
}

#[test]
fn what_is_refused_by_its_content_leaves_nothing_behind() {
    let (_directory, path) = place();
    written(&path, 3);
    // Of a newer version.
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute_batch(
        "PRAGMA journal_mode = DELETE; PRAGMA user_version = 99; UPDATE meta SET value = 99 WHERE name = 'schema'",
    )
    .unwrap();
    drop(db);
    let error = refused(&path, &["newer version", "use the version that wrote it"]);
    assert!(
        kind_of(&error) == StoreErrorKind::Version && !error.to_string().contains("choose another path"),
        "{error}"
    );
}

#[test]
fn only_a_recovered_file_of_the_same_user_and_place_takes_the_place() {
    let (directory, path) = place();
    written(&path, 3);
    let planted = beside(&path, ".recovered-20260101T000000Z");
    let plant = |organization: &str| {
        let elsewhere = directory.path().join("elsewhere.db");
        let mut fixture =
            Fixture::try_open(Options { organization: organization.into(), ..options(&elsewhere) }).unwrap();
        let at = fixture.now();
        fixture.store.apply(inserts(50..=59, at));
        fixture.settled(10);
        fixture.close();
        fs::rename(&elsewhere, &planted).unwrap();
        for suffix in ["-wal", "-shm", "-lock"] {
            let _ = fs::remove_file(beside(&elsewhere, suffix));
        }
    };
    let goes_on = |what: &str| {
        let fixture = Fixture::open(&path);
        assert_eq!((seqs(&fixture.found), planted.symlink_metadata().is_ok()), (vec![1, 2, 3], true), "{what}");
        fixture.close();
    };
    plant("acme");
    fs::set_permissions(&planted, Permissions::from_mode(0o666)).unwrap();
    goes_on("others can write it");
    fs::set_permissions(&planted, Permissions::from_mode(0o600)).unwrap();
    let real = directory.path().join("real.db");
    fs::rename(&planted, &real).unwrap();
    symlink(&real, &planted).unwrap();
    goes_on("a link");
    fs::remove_file(&planted).unwrap();
    fs::hard_link(&real, &planted).unwrap();
    goes_on("a second name");
    fs::remove_file(&real).unwrap();
    if may_chown(&planted) {
        goes_on("another user's");
        // As after a crash in the middle of a swap: it may have been the one.
        let moved = directory.path().join("moved.db");
        fs::rename(&path, &moved).unwrap();
        for suffix in ["-wal", "-shm", "-lock"] {
            let _ = fs::remove_file(beside(&path, suffix));
        }
        let error = Fixture::try_open(options(&path)).err().unwrap();
        assert!(
            kind_of(&error) == StoreErrorKind::Mismatch && error.to_string().contains(".recovered-2026"),
            "{error}"
        );
        fs::rename(&moved, &path).unwrap();
    }
    fs::remove_file(&planted).unwrap();
    plant("other");
    let error = Fixture::try_open(options(&path)).err().unwrap();
    assert!(
        kind_of(&error) == StoreErrorKind::Mismatch && error.to_string().contains("not a recovered outbox"),
        "{error}"
    );
    fs::remove_file(&planted).unwrap();
    goes_on_after_all(&path);
    plant("acme");
    let fixture = Fixture::open(&path);
    assert_eq!(seqs(&fixture.found), (50..=59).collect::<Vec<_>>(), "a real one does");
    fixture.close();
}

fn goes_on_after_all(path: &Path) {
    let fixture = Fixture::open(path);
    assert_eq!(seqs(&fixture.found), [1, 2, 3]);
    fixture.close();
}

#[test]
fn a_path_without_room_for_the_names_beside_it_is_called_long() {
    let (directory, _) = place();
    for length in [230, 252, 300] {
        let path = directory.path().join("o".repeat(length));
        let error = Fixture::try_open(options(&path)).err().unwrap();
        assert!(error.to_string().contains("too long") && names(&path).is_empty(), "{error}");
    }
    let deep = directory.path().join(format!("{}/{}/{}", "d".repeat(200), "e".repeat(200), "f".repeat(200)));
    fs::create_dir_all(&deep).unwrap();
    let error = Fixture::try_open(options(&deep.join("outbox.db"))).err().unwrap();
    assert!(error.to_string().contains("too long"), "{error}");
}

#[test]
fn another_program_that_has_it_locked_is_named() {
    let (_directory, path) = place();
    written(&path, 1);
    let shell = rusqlite::Connection::open(&path).unwrap();
    shell.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let error = Fixture::try_open(options(&path)).err().unwrap();
    assert_eq!(kind_of(&error), StoreErrorKind::Locked);
    let text = error.to_string();
    assert!(text.contains("another program") && text.contains("close that program"), "{text}");
}
