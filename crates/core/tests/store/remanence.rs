//! What was delivered or dropped is gone from the file and its log, not only from the tables.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use spillway_core::clock::Timestamp;
use spillway_core::message::{Message, Parts};
use spillway_core::store::file::{Editor, Options};
use spillway_core::store::{Change, Record};

use crate::fixture::*;

const CANARY: &str = "a text that nobody is to find again";

/// A message with the text at its beginning and end: a long one fills pages of its own.
fn secret(seq: u64, at: Timestamp) -> Change {
    let body = format!("{{\"text\":\"{CANARY}{}{CANARY}\"}}", "x".repeat((seq % 7 * 3_000) as usize));
    let (id, conversation) = (format!("m-{seq}"), format!("c-{}", seq % 10));
    let parts = Parts { id: &id, conversation: &conversation, body: &body, ..Parts::default() };
    Change::Insert { entry_id: 0, record: Box::new(Record::new(seq, Message::new(parts).unwrap(), at)) }
}

fn texts(path: &Path) -> usize {
    let count = |suffix: &str| {
        let bytes = Bytes::from(fs::read(format!("{}{suffix}", path.display())).unwrap_or_default());
        bytes.windows(CANARY.len()).filter(|text| *text == CANARY.as_bytes()).count()
    };
    count("") + count("-wal")
}

#[test]
fn what_is_delivered_or_dropped_leaves_no_text_behind() {
    let (_directory, path) = place();
    let often = Options { empty_log_every: Duration::from_millis(100), ..options(&path) };
    let mut fixture = Fixture::try_open(often).unwrap();
    let at = fixture.now();
    fixture.store.apply((1..=200).map(|seq| secret(seq, at)).collect());
    fixture.settled(200);
    assert!(texts(&path) >= 400, "they are there as long as they wait");
    fixture.store.apply((1..=120).map(|seq| deliver(seq, at)).collect());
    fixture.store.apply((121..=199).map(|seq| bury(seq, at)).collect());
    fixture.settled(399);
    fixture.store.apply((121..=160).map(|seq| Change::DropLetter { id: format!("m-{seq}").into() }).collect());
    fixture.settled(439);
    // One still waits, and 39 letters are kept; while the sender runs.
    while texts(&path) > 80 {
        thread::yield_now();
    }
    assert_eq!(texts(&path), 80);
    fixture.close();
    let mut editor = Editor::open(&path).unwrap();
    (161..=199).for_each(|seq| editor.drop_letter(&format!("m-{seq}")).unwrap());
    drop(editor);
    assert_eq!(texts(&path), 2);
}
