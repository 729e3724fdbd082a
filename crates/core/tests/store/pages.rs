//! One page of a small file is damaged, each page in turn: everything is recovered that does not need that page, and
//! what is lost is told. Which rows need which pages is SQLite's own account (its table `dbstat`), not that of the code
//! under test.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use spillway_core::store::Change;
use spillway_core::store::file::Options;

use crate::draw::Draw;
use crate::fixture::*;
use crate::seeds::every_seed;

const PAGE: usize = 4_096;

/// The pages that each row of a table lies on, by its key; and all pages of the table.
fn pages_of(path: &Path, table: &str, key: &str) -> (BTreeMap<u64, BTreeSet<usize>>, BTreeSet<usize>) {
    let db = rusqlite::Connection::open(path).unwrap();
    let mut statement =
        db.prepare("SELECT path, pageno, pagetype, ncell FROM dbstat WHERE name = ?1 ORDER BY path").unwrap();
    let rows = statement.query_map([table], |row| {
        Ok((
            row.get::<_, String>(0)?,
            row.get::<_, u32>(1)? as usize,
            row.get::<_, String>(2)?,
            row.get::<_, u32>(3)? as usize,
        ))
    });
    let parts: Vec<_> = rows.unwrap().map(Result::unwrap).collect();
    let mut keys = db.prepare(&format!("SELECT {key} FROM {table} ORDER BY {key}")).unwrap();
    let mut keys =
        keys.query_map([], |row| row.get::<_, i64>(0)).unwrap().map(|key| u64::try_from(key.unwrap()).unwrap());
    let mut pages = BTreeMap::new();
    for (leaf, page, _, cells) in parts.iter().filter(|(_, _, kind, _)| kind == "leaf") {
        for (cell, key) in (0..*cells).zip(keys.by_ref()) {
            // Of what is continued, the path is the leaf's with the number of the cell.
            let prefix = format!("{leaf}{cell:03x}+");
            let continued = parts.iter().filter(|(path, ..)| path.starts_with(&prefix)).map(|(_, page, ..)| *page);
            pages.insert(key, continued.chain([*page]).collect());
        }
    }
    assert!(keys.next().is_none(), "each row has its pages");
    (pages, parts.into_iter().map(|(_, page, ..)| page).collect())
}

/// A closed store: messages short and long, delivered ones and dead letters; and pages that are free.
fn written(path: &Path) {
    let mut fixture = Fixture::open(path);
    let at = fixture.now();
    let length = |seq| if seq % 9 == 0 { 9_000 } else { 300 };
    let insertion = |seq: u64| Change::Insert {
        entry_id: u32::try_from(seq).unwrap(),
        record: Box::new(sized(seq, at, length(seq))),
    };
    fixture.store.apply((1..=400).map(insertion).collect());
    // The oldest are delivered, and a part from the middle, so that pages become free among others.
    fixture.store.apply((1..=60).chain(200..=260).map(|seq| deliver(seq, at)).collect());
    fixture.store.apply((61..=90).map(|seq| bury(seq, at)).collect());
    fixture.store.apply((91..=94).map(|seq| depart(seq, at)).collect());
    fixture.settled(400 + 121 + 30 + 4);
    fixture.close();
}

fn damage(bytes: &mut [u8], page: usize, kind: u64, draw: &mut Draw) {
    let page = &mut bytes[(page - 1) * PAGE..page * PAGE];
    match kind {
        0 => page.fill(0),
        1 => page.iter_mut().for_each(|byte| *byte = u8::try_from(draw.below(256)).unwrap()),
        // What kind of page it is.
        _ => page[0] ^= 0x55,
    }
}

#[test]
fn whatever_page_is_damaged_all_is_recovered_that_does_not_need_it() {
    let (_original, original) = place();
    written(&original);
    let sound = fs::read(&original).unwrap();
    let (messages, message_pages) = pages_of(&original, "messages", "seq");
    let (dead, dead_pages) = pages_of(&original, "letters", "number");
    assert!(message_pages.len() > 60 && messages.len() == 249 && dead.len() == 30, "{message_pages:?}");
    assert!(messages.values().any(|pages| pages.len() == 3));
    let fixture = Fixture::open(&original);
    let (receipts, on_wire) = (settled_ids(&fixture.found), sent(&fixture.found));
    fixture.close();
    // Garbage on each page; the other kinds on the first ones, of which each is another one, and on a part of the
    // others.
    let cases: Vec<(usize, u64)> = (1..=sound.len() / PAGE)
        .flat_map(|page| (0..3).map(move |kind| (page, kind)))
        .filter(|(page, kind)| *kind == 1 || *page <= 12 || page % 4 == 0)
        .collect();
    every_seed("damaged pages", cases.len() as u64, |seed| {
        let (page, kind) = cases[usize::try_from(seed).unwrap() % cases.len()];
        let (_directory, path) = place();
        let mut bytes = sound.clone();
        damage(&mut bytes, page, kind, &mut Draw::stream(seed, kind));
        fs::write(&path, &bytes).unwrap();
        let mut fixture = Fixture::open(&path);
        let whole = |rows: &BTreeMap<u64, BTreeSet<usize>>| -> Vec<u64> {
            rows.iter().filter(|(_, pages)| !pages.contains(&page)).map(|(key, _)| *key).collect()
        };
        // A leaf that has only forgotten that it is one still has its rows.
        let left = whole(&messages);
        let found = seqs(&fixture.found);
        let risen: Vec<&u64> = found.iter().filter(|seq| !messages.contains_key(seq)).collect();
        assert!(risen.is_empty(), "page {page}, {kind}: {risen:?} had ended");
        let lost = (messages.len() - found.len()) + (dead.len() - letters(&fixture.found).len());
        assert!(left.iter().all(|seq| found.binary_search(seq).is_ok()), "page {page}, {kind}: {found:?}");
        assert!(letters(&fixture.found).len() >= whole(&dead).len(), "page {page}, {kind}");
        let told = fixture.opening.salvage.unreadable + fixture.opening.salvage.unreadable_parts;
        assert!(lost == 0 || told > 0, "page {page}, {kind}: {lost} are lost without a word");
        let holds_rows = message_pages.contains(&page) || dead_pages.contains(&page);
        if holds_rows && lost == 0 && kind != 2 {
            assert_eq!(told, 0, "page {page}, {kind}: nothing is lost");
        }
        if holds_rows {
            assert_eq!(settled_ids(&fixture.found), receipts, "page {page}, {kind}");
            let on_wire: Vec<u64> = on_wire.iter().copied().filter(|seq| found.contains(seq)).collect();
            assert_eq!(sent(&fixture.found), on_wire, "page {page}, {kind}");
        }
        // Texts are not read before their turn comes.
        for (seq, record) in found.iter().zip(fixture.load(&found)) {
            assert!(record.is_some() || messages[seq].contains(&page), "page {page}, {kind}: {seq}");
        }
        fixture.close();
    });
}

/// The pages that say which are free are lost as well: what was deleted can't be told from what waits.
#[test]
fn what_may_have_been_delivered_is_not_sent_as_if_it_never_was() {
    let (_original, original) = place();
    written(&original);
    let sound = fs::read(&original).unwrap();
    let (messages, _) = pages_of(&original, "messages", "seq");
    // The header with the list of free pages, the pointer map, the root of the messages; and the receipts.
    for (lost, has_receipts) in [(vec![1, 2, 4], true), (vec![1, 2, 4, 7], false)] {
        let (_directory, path) = place();
        let mut bytes = sound.clone();
        lost.iter().for_each(|page| damage(&mut bytes, *page, 1, &mut Draw::stream(9, 9)));
        fs::write(&path, &bytes).unwrap();
        let fixture = Fixture::try_open(Options { presumed_sent: 0, ..options(&path) }).unwrap();
        let (found, sent) = (seqs(&fixture.found), sent(&fixture.found));
        assert!(messages.keys().all(|seq| found.contains(seq)), "all that waits is there");
        let risen: Vec<u64> = found.iter().copied().filter(|seq| !messages.contains_key(seq)).collect();
        assert!(risen.iter().all(|seq| sent.contains(seq)), "{risen:?} would be sent as if they never were");
        assert!(!has_receipts || risen.is_empty(), "{risen:?} have receipts");
        fixture.close();
    }
}

#[test]
fn rows_in_the_log_count_as_committed() {
    let (directory, path) = place();
    let mut fixture = Fixture::open(&path);
    let at = fixture.now();
    fixture.store.apply(inserts(1..=500, at));
    fixture.settled(500);
    // As a killed process leaves it, with everything in the log.
    let (_crashed, crashed) = place();
    for suffix in ["", "-wal"] {
        fs::copy(directory.path().join(format!("outbox.db{suffix}")), format!("{}{suffix}", crashed.display()))
            .unwrap();
    }
    fixture.close();
    let mut bytes = fs::read(&crashed).unwrap();
    bytes.fill(0xAA);
    fs::write(&crashed, &bytes).unwrap();
    // The newest content of each page is in the log, and is what counts.
    let fixture = Fixture::open(&crashed);
    assert_eq!((seqs(&fixture.found), fixture.opening.salvage.unreadable), ((1..=500).collect::<Vec<_>>(), 0));
    fixture.close();
}
