//! One owner at a time, also when the lock's file is taken away or looked at.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use fs4::FileExt;
use spillway_core::error::StoreErrorKind;
use spillway_core::store::file::{Options, Reader, State, Texts};
use spillway_powercut::{Disk, VFS, install};

use crate::fixture::*;

/// Whoever removes the lock's file, and what another process locks then.
fn locked_anew(path: &Path) -> File {
    let name = format!("{}-lock", path.display());
    fs::remove_file(&name).unwrap();
    let file = File::create(name).unwrap();
    FileExt::try_lock(&file).unwrap();
    file
}

fn is_locked(path: &Path) -> bool {
    FileExt::try_lock(&File::open(format!("{}-lock", path.display())).unwrap()).is_err()
}

/// What a reader finds: how many messages, and how many of them on the wire.
fn found(path: &Path) -> (usize, usize) {
    let rows = Reader::open(path).unwrap().messages(0, Texts::Hidden).unwrap().rows;
    (rows.len(), rows.iter().filter(|row| row.state == State::Sent).count())
}

#[test]
fn a_lock_that_is_removed_is_taken_again() {
    let (_directory, path) = place();
    let mut fixture = Fixture::open(&path);
    let at = fixture.now();
    fixture.store.apply(inserts(1..=3, at));
    fixture.settled(3);
    fs::remove_file(format!("{}-lock", path.display())).unwrap();
    fixture.store.apply(vec![insert(4, at)]);
    fixture.settled(4);
    assert!(fixture.degraded.is_empty(), "nobody else has come");
    assert!(is_locked(&path));
    assert_eq!(Reader::open(&path).unwrap().stats().unwrap().owner, Some(std::process::id()));
    // Another file by that name, which nobody has locked.
    fs::remove_file(format!("{}-lock", path.display())).unwrap();
    fs::write(format!("{}-lock", path.display()), "").unwrap();
    fixture.store.apply(vec![insert(5, at)]);
    fixture.settled(5);
    assert!(is_locked(&path) && fixture.degraded.is_empty());
    fixture.close();
    assert!(!is_locked(&path));
}

#[test]
fn nothing_is_written_while_another_process_has_the_lock() {
    let (_directory, path) = place();
    let mut fixture = Fixture::open(&path);
    let at = fixture.now();
    fixture.store.apply(inserts(1..=3, at));
    fixture.settled(3);
    let other = locked_anew(&path);
    fixture.store.apply(vec![insert(4, at), depart(1, at)]);
    fixture.until(|fixture| fixture.degraded.len() == 1 && fixture.up_to == 4);
    assert_eq!(kind_of(&fixture.degraded[0]), StoreErrorKind::Locked);
    assert_eq!((fixture.refused.len(), found(&path)), (1, (3, 0)), "the insert counts as done, and nothing is written");
    // It was no owner that has begun: what waited is written.
    drop(other);
    fixture.until(|fixture| fixture.restored == 1 && fixture.up_to == 5);
    assert_eq!(found(&path), (3, 1));
    assert!(is_locked(&path));
    fixture.close();
}

#[test]
fn an_owner_that_another_one_has_followed_writes_no_more() {
    let (directory, path) = place();
    let mut fixture = Fixture::open(&path);
    let at = fixture.now();
    fixture.store.apply(inserts(1..=3, at));
    fixture.settled(3);
    fs::remove_file(format!("{}-lock", path.display())).unwrap();
    // By another path this process doesn't know it again, as another process wouldn't.
    let same = directory.path().join("same");
    symlink(directory.path(), &same).unwrap();
    let mut next = Fixture::open(&same.join("outbox.db"));
    assert_eq!(seqs(&next.found), [1, 2, 3]);
    // Whose lock is removed, too: both have none.
    fs::remove_file(format!("{}-lock", path.display())).unwrap();
    fixture.store.apply(vec![insert(4, at), depart(1, at)]);
    fixture.until(|fixture| fixture.disowned.is_some() && fixture.refused.len() == 1);
    let error = fixture.disowned.clone().unwrap();
    assert_eq!((kind_of(&error), fixture.degraded.len()), (StoreErrorKind::Locked, 0));
    let text = error.to_string();
    assert!(text.contains("lost its -lock file") && text.contains("close this sender and open it again"), "{text}");
    fixture.listen(Duration::from_millis(300));
    assert_eq!((fixture.restored, found(&path)), (0, (3, 0)));
    assert!(!is_locked(&path), "whoever comes next may have it");
    next.store.apply(vec![insert(4, at), insert(5, at)]);
    next.settled(2);
    assert!(is_locked(&path) && next.degraded.is_empty(), "the last one that has begun goes on");
    fixture.close();
    next.close();
    let fixture = Fixture::open(&path);
    assert_eq!(seqs(&fixture.found), [1, 2, 3, 4, 5]);
    fixture.close();
}

#[test]
fn who_looks_for_an_owner_keeps_nobody_out() {
    let (_directory, path) = place();
    Fixture::open(&path).close();
    // A look that takes long, and one after the other.
    let lock = File::open(format!("{}-lock", path.display())).unwrap();
    FileExt::lock_shared(&lock).unwrap();
    let (_never, silence) = mpsc::channel::<()>();
    let looks = thread::spawn(move || {
        let _ = silence.recv_timeout(Duration::from_millis(100));
        drop(lock);
    });
    Fixture::open(&path).close();
    looks.join().unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let _ = Reader::open(&path).and_then(|mut reader| reader.stats());
            }
        });
        for _ in 0..50 {
            let opened = Fixture::try_open(options(&path));
            done.store(opened.is_err(), Ordering::Relaxed);
            opened.unwrap().close();
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn nothing_is_acknowledged_when_the_lock_is_lost_in_a_commit() {
    install();
    let (directory, path) = place();
    let disk = Disk::of(directory.path());
    let mut fixture = Fixture::try_open(Options { vfs: Some(VFS.into()), ..options(&path) }).unwrap();
    let at = fixture.now();
    disk.stall();
    fixture.store.apply(vec![insert(1, at)]);
    disk.wait_until_stalled();
    let other = locked_anew(&path);
    disk.go_on();
    fixture.until(|fixture| fixture.degraded.len() == 1);
    assert_eq!(kind_of(&fixture.degraded[0]), StoreErrorKind::Locked);
    assert_eq!((fixture.up_to, fixture.kept.len()), (0, 0));
    drop(other);
    fixture.until(|fixture| fixture.restored == 1);
    fixture.settled(1);
    assert_eq!(fixture.kept, [1]);
    fixture.close();
    disk.forget();
}

#[test]
fn an_opening_waits_for_another_owner_to_end_as_long_as_it_is_told() {
    let (directory, path) = place();
    let fixture = Fixture::open(&path);
    // By another path this process doesn't know it again, as another process wouldn't.
    let same = directory.path().join("same");
    symlink(directory.path(), &same).unwrap();
    let next = |lock_wait| Options { lock_wait, ..options(&same.join("outbox.db")) };
    for lock_wait in [Duration::ZERO, Duration::from_millis(50)] {
        let error = Fixture::try_open(next(lock_wait)).err().unwrap();
        assert_eq!(kind_of(&error), StoreErrorKind::Locked);
        let text = error.to_string();
        assert!(text.contains("another copy of spillway in this process"), "{text}");
    }
    let waiting = thread::spawn({
        let options = next(PATIENCE);
        move || Fixture::try_open(options).unwrap().close()
    });
    fixture.close();
    waiting.join().unwrap();
}

#[test]
fn a_lock_that_another_program_has_is_not_told_to_be_the_last_owner_s() {
    let (_directory, path) = place();
    Fixture::open(&path).close();
    let name = format!("{}-lock", path.display());
    // What an owner on another machine, and one in another container, has written.
    let card = fs::read_to_string(&name).unwrap();
    let lines: Vec<&str> = card.lines().collect();
    assert!(lines.len() == 4 && lines[0] == std::process::id().to_string(), "{card}");
    let mut holder = std::process::Command::new("flock");
    holder.args([&name, "-c", "echo held; read _"]);
    let mut child = spawned(&mut holder).unwrap();
    let error = Fixture::try_open(options(&path)).err().unwrap();
    let text = error.to_string();
    assert!(kind_of(&error) == StoreErrorKind::Locked && text.contains(&format!("process {}", child.id())), "{text}");
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Started, and heard of.
fn spawned(command: &mut std::process::Command) -> std::io::Result<std::process::Child> {
    use std::io::Read;
    use std::process::Stdio;
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    child.stdout.as_mut().unwrap().read_exact(&mut [0])?;
    Ok(child)
}
