//! What the store in a file costs: `cargo run --release -p spillway-core --example store_cost [MESSAGES]`.
//!
//! Many enqueues at once, one after the other beside plain append + fdatasync, and opening what is left. The directory
//! is made beside the working one (`TMPDIR` is often in memory), and removed.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program that measures, run by hand")]

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use spillway_core::clock::{Clock, Timestamp};
use spillway_core::message::{Message, Parts};
use spillway_core::random::Random;
use spillway_core::store::file::{Options, SqliteStore};
use spillway_core::store::{Change, FencingToken, Record, Store, StoreEvent};

const SINGLES: u64 = 1_000;
/// A tick's worth of submissions.
const TICK: u64 = 256;

fn begin(path: &Path, clock: Clock) -> (SqliteStore, Receiver<StoreEvent>) {
    let (tell, news) = mpsc::channel();
    let store =
        SqliteStore::open(Options::new(path, "acme"), clock, Box::new(move |news| drop(tell.send(news)))).unwrap();
    (store, news)
}

fn open(path: &Path, clock: Clock) -> (SqliteStore, FencingToken, Receiver<StoreEvent>) {
    let (store, news) = begin(path, clock);
    loop {
        if let StoreEvent::Opened(opening) = news.recv().unwrap() {
            return (store, opening.token, news);
        }
    }
}

fn record(seq: u64, id: Box<str>, at: Timestamp) -> Change {
    let conversation = format!("conversation-{:026}", seq % 50_000);
    let parts =
        Parts { id: &id, id_given: true, conversation: &conversation, body: &"x".repeat(300), ..Parts::default() };
    let message = Message::new(parts).unwrap();
    Change::Insert { entry_id: 0, record: Box::new(Record::new(seq, message, at)) }
}

fn wait(news: &Receiver<StoreEvent>, number: u64) {
    loop {
        if let StoreEvent::Committed { up_to, .. } = news.recv().unwrap()
            && up_to >= number
        {
            return;
        }
    }
}

fn many(path: &Path, clock: Clock, count: u64) -> Duration {
    let (store, token, news) = open(path, clock);
    let mut random = Random::from_seed(1);
    let at = clock.now();
    let changes: Vec<Vec<Change>> = (0..count.div_ceil(TICK))
        .map(|tick| {
            (tick * TICK..((tick + 1) * TICK).min(count)).map(|n| record(n + 1, random.message_id(n), at)).collect()
        })
        .collect();
    let start = clock.now();
    for tick in changes {
        store.apply(token, tick);
    }
    wait(&news, count);
    let took = clock.now().since(start);
    store.close();
    while !matches!(news.recv().unwrap(), StoreEvent::Closed) {}
    took
}

fn singles(path: &Path, clock: Clock) -> Duration {
    let (store, token, news) = open(path, clock);
    let mut random = Random::from_seed(2);
    let mut start = clock.now();
    for n in 1..=SINGLES * 2 {
        if n == SINGLES + 1 {
            start = clock.now();
        }
        store.apply(token, vec![record(n, random.message_id(n), clock.now())]);
        wait(&news, n);
    }
    clock.now().since(start)
}

fn appends(path: &Path, clock: Clock) -> Duration {
    let mut file = File::create(path).unwrap();
    let mut start = clock.now();
    for n in 1..=SINGLES * 2 {
        if n == SINGLES + 1 {
            start = clock.now();
        }
        file.write_all(&[b'x'; 420]).unwrap();
        file.sync_data().unwrap();
    }
    clock.now().since(start)
}

fn reopen(path: &Path, clock: Clock) -> (Duration, usize) {
    let start = clock.now();
    let (store, news) = begin(path, clock);
    let mut rows = 0;
    loop {
        match news.recv().unwrap() {
            StoreEvent::Found(found) => rows += found.len(),
            StoreEvent::Opened(_) => break,
            other => println!("{other:?}"),
        }
    }
    let took = clock.now().since(start);
    store.close();
    while !matches!(news.recv().unwrap(), StoreEvent::Closed) {}
    (took, rows)
}

fn main() {
    let count: u64 = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(1_000_000);
    let clock = Clock::start();
    let directory = tempfile::tempdir_in(".").unwrap();
    let path = |name: &str| directory.path().join(name);
    let (plain, single) = (appends(&path("append"), clock), singles(&path("single.db"), clock));
    let ratio = single.as_secs_f64() / plain.as_secs_f64();
    println!(
        "one after the other: {:?} each, append + fdatasync {:?}: {ratio:.2}x",
        single / SINGLES as u32,
        plain / SINGLES as u32
    );
    let took = many(&path("many.db"), clock, count);
    println!("{count} at once: {took:?}, {:.0}/s", count as f64 / took.as_secs_f64());
    let (took, rows) = reopen(&path("many.db"), clock);
    println!("opened with {rows} waiting in {took:?}");
}
