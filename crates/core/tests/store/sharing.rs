//! Several organizations of a process in one file: each has a store of its own, and what befalls the file befalls all.

use std::fs;
use std::path::Path;
use std::time::Duration;

use spillway_core::error::StoreErrorKind;
use spillway_core::store::Change;
use spillway_core::store::file::{Durability, Editor, Found, Options, Reader, Texts};

use crate::fixture::*;

fn of(path: &Path, organization: &str) -> Options {
    Options { organization: organization.into(), ..options(path) }
}

fn open(path: &Path, organization: &str) -> Fixture {
    Fixture::try_open(of(path, organization)).unwrap()
}

fn reader(path: &Path, organization: &str) -> Reader {
    Reader::open(path).unwrap().of(Some(organization))
}

/// What is on disk when a process is killed.
fn copied(from: &Path, to: &Path) {
    for suffix in ["", "-wal"] {
        let _ = fs::copy(format!("{}{suffix}", from.display()), format!("{}{suffix}", to.display()));
    }
}

/// Everything that a file holds of an organization, with the same ids and numbers in each: a message that waits, one on
/// the wire, one that came back, a dead letter, a known id, a budget. `extra` tells them apart.
fn fill(fixture: &mut Fixture, extra: u64) {
    let at = fixture.now();
    let back = Change::Return { seq: 3, attempts: 2, first_attempt_at: Some(at), ambiguous: true, batch: None };
    let count = 5 + extra;
    fixture.store.apply(inserts(1..=count, at));
    fixture.store.apply(vec![save(format!("{{\"extra\":{extra}}}"), [], at)]);
    fixture.store.apply(vec![depart(2, at), depart(3, at), back, bury(4, at), deliver(5, at)]);
    fixture.settled(count + 6);
}

fn is_filled(fixture: &Fixture, extra: u64) {
    let others: Vec<u64> = (6..=5 + extra).collect();
    assert_eq!(seqs(&fixture.found), [vec![1, 2, 3], others].concat());
    assert_eq!((sent(&fixture.found), fixture.opening.last_seq), (vec![2], 5 + extra));
    assert_eq!((letters(&fixture.found), settled_ids(&fixture.found)), (vec!["m-4".into()], vec!["m-5".into()]));
    assert_eq!(fixture.opening.budget.as_deref(), Some(&*format!("{{\"extra\":{extra}}}")));
    assert_eq!(fixture.opening.departed.len(), 2);
}

const ORGANIZATIONS: [&str; 3] = ["acme", "beta", "Ä \"quoted\""];

#[test]
fn organizations_of_one_file_have_nothing_in_common_but_the_file() {
    let (directory, path) = place();
    let mut rigs = ORGANIZATIONS.map(|organization| open(&path, organization));
    for (fixture, extra) in rigs.iter_mut().zip(0..) {
        assert!(fixture.found.is_empty() && fixture.opening.last_seq == 0 && fixture.opening.budget.is_none());
        fill(fixture, extra);
    }
    let tokens: Vec<_> = rigs.iter().map(|fixture| fixture.opening.token).collect();
    assert!(tokens.is_sorted_by(|one, next| one < next), "{tokens:?}");
    for (fixture, extra) in rigs.iter_mut().zip(0..) {
        let loaded = fixture.load(&[1, 5 + extra + 1]);
        assert_eq!(loaded[0].as_ref().unwrap().message.id(), "m-1");
        assert!(loaded[1].is_none(), "the next number is another organization's at most");
    }
    // Killed now, another process finds what each had.
    let killed = directory.path().join("killed.db");
    copied(&path, &killed);
    rigs.into_iter().for_each(Fixture::close);
    for path in [&killed, &path] {
        // In another order, and not all of them.
        for (organization, extra) in [(ORGANIZATIONS[2], 2), (ORGANIZATIONS[0], 0), (ORGANIZATIONS[1], 1)] {
            let fixture = open(path, organization);
            is_filled(&fixture, extra);
            fixture.close();
        }
        assert!(Reader::open(path).unwrap().check().unwrap().ok);
    }
}

#[test]
fn one_closes_and_opens_again_while_the_others_go_on() {
    let (_directory, path) = place();
    let [mut acme, mut beta] = ["acme", "beta"].map(|organization| open(&path, organization));
    let at = acme.now();
    fill(&mut acme, 0);
    acme.close();
    assert!(Reader::open(&path).unwrap().of(Some("beta")).stats().unwrap().owner.is_some(), "the file stays open");
    for seq in 1..=3 {
        beta.store.apply(vec![insert(seq, at)]);
        beta.settled(seq);
        let fixture = open(&path, "acme");
        is_filled(&fixture, 0);
        fixture.close();
    }
    beta.close();
    let stats = reader(&path, "beta").stats().unwrap();
    assert_eq!((stats.owner, stats.closed, stats.organizations), (None, true, 2));
}

#[test]
fn the_same_organization_waits_for_its_predecessor_and_no_other_does() {
    let (_directory, path) = place();
    let [acme, beta] = ["acme", "beta"].map(|organization| open(&path, organization));
    let again = std::thread::spawn({
        let options = of(&path, "acme");
        move || Fixture::try_open(options).unwrap().close()
    });
    open(&path, "gamma").close();
    acme.close();
    again.join().unwrap();
    beta.close();
}

#[test]
fn a_file_has_one_durability() {
    let (_directory, path) = place();
    let acme = open(&path, "acme");
    let error = Fixture::try_open(Options { durability: Durability::ProcessCrash, ..of(&path, "beta") }).err().unwrap();
    assert!(kind_of(&error) == StoreErrorKind::Mismatch && error.to_string().contains("another durability"), "{error}");
    acme.close();
}

#[test]
fn a_large_past_is_told_while_others_are_written() {
    let (_directory, path) = place();
    let mut acme = open(&path, "acme");
    let at = acme.now();
    for some in 0..10 {
        acme.store.apply(inserts(some * 1_000 + 1..=(some + 1) * 1_000, at));
    }
    acme.settled(10_000);
    acme.close();
    let mut beta = open(&path, "beta");
    let (tell, told) = std::sync::mpsc::channel();
    let (go_on, may_go_on) = std::sync::mpsc::channel::<()>();
    let mut chunks = 0;
    let listener = move |news| {
        if let spillway_core::store::StoreEvent::Found(_) = news {
            chunks += 1;
            if chunks == 1 {
                may_go_on.recv().unwrap();
            }
        }
        tell.send(news).unwrap();
    };
    let clock = spillway_core::clock::Clock::start();
    let store = spillway_core::store::file::SqliteStore::open(of(&path, "acme"), clock, Box::new(listener)).unwrap();
    // It comes in while the first chunk is told, and is written before all are.
    beta.store.apply(vec![insert(1, at)]);
    go_on.send(()).unwrap();
    beta.settled(1);
    let before = told.try_iter().filter(|news| matches!(news, spillway_core::store::StoreEvent::Opened(_))).count();
    assert_eq!(before, 0, "not at the end alone");
    loop {
        if let spillway_core::store::StoreEvent::Opened(opening) = told.recv_timeout(PATIENCE).unwrap() {
            assert_eq!(opening.last_seq, 10_000);
            break;
        }
    }
    drop(store);
    beta.close();
}

#[test]
fn a_file_that_can_not_be_opened_is_told_to_all_who_come() {
    let (directory, path) = place();
    let elsewhere = directory.path().join("same");
    std::os::unix::fs::symlink(directory.path(), &elsewhere).unwrap();
    let owner = open(&elsewhere.join("outbox.db"), "acme");
    for organization in ORGANIZATIONS {
        let error = Fixture::try_open(of(&path, organization)).err().unwrap();
        assert_eq!(kind_of(&error), StoreErrorKind::Locked, "{error}");
    }
    owner.close();
    open(&path, "acme").close();
}

#[test]
fn trouble_is_told_to_all_and_so_is_its_end() {
    let (directory, path) = place();
    let mut rigs = ORGANIZATIONS.map(|organization| open(&path, organization));
    rigs.iter_mut().zip(0..).for_each(|(fixture, extra)| fill(fixture, extra));
    // Both files lose their names: the next commit finds that, and what they hold is saved.
    let away = directory.path().join("away");
    fs::create_dir(&away).unwrap();
    for name in ["outbox.db", "outbox.db-wal", "outbox.db-shm"] {
        fs::rename(directory.path().join(name), away.join(name)).unwrap();
    }
    let at = rigs[0].now();
    rigs[0].store.apply(vec![depart(1, at)]);
    for fixture in &mut rigs {
        fixture.until(|fixture| fixture.restored == 1);
        assert_eq!(kind_of(&fixture.degraded[0]), StoreErrorKind::Missing);
    }
    rigs[0].settled(12);
    rigs.into_iter().for_each(Fixture::close);
    for (organization, extra) in ORGANIZATIONS.iter().zip(0..).skip(1) {
        let fixture = open(&path, organization);
        is_filled(&fixture, extra);
        fixture.close();
    }
}

#[test]
fn who_comes_while_nothing_can_be_written_is_turned_away_in_time() {
    let (_directory, path) = place();
    let mut acme = open(&path, "acme");
    let at = acme.now();
    let lock = format!("{}-lock", path.display());
    fs::remove_file(&lock).unwrap();
    let other = fs::File::create(&lock).unwrap();
    fs4::FileExt::try_lock(&other).unwrap();
    acme.store.apply(vec![insert(1, at)]);
    acme.until(|fixture| fixture.degraded.len() == 1);
    let error = Fixture::try_open(of(&path, "beta")).err().unwrap();
    assert_eq!(kind_of(&error), StoreErrorKind::Locked, "{error}");
    drop(other);
    acme.until(|fixture| fixture.restored == 1);
    open(&path, "beta").close();
    acme.close();
}

#[test]
fn a_damaged_page_costs_nobody_but_those_whose_rows_are_on_it() {
    let (_directory, original) = place();
    let mut rigs = ORGANIZATIONS.map(|organization| open(&original, organization));
    rigs.iter_mut().zip(0..).for_each(|(fixture, extra)| fill(fixture, extra));
    rigs.into_iter().for_each(Fixture::close);
    let sound = fs::read(&original).unwrap();
    let pages = sound.len() / 4_096;
    // Also the names: of each there is another copy.
    for page in 1..=pages {
        let (_directory, path) = place();
        let mut bytes = sound.clone();
        let damaged = &mut bytes[(page - 1) * 4_096..page * 4_096];
        let is_of_bodies = damaged.windows(100).any(|text| text == [text[0]; 100] && text[0].is_ascii_lowercase());
        damaged.fill(0xAA);
        fs::write(&path, &bytes).unwrap();
        for (organization, extra) in ORGANIZATIONS.iter().zip(0..) {
            let fixture = open(&path, organization);
            assert!(
                seqs(&fixture.found).iter().all(|seq| (1..=5 + extra).contains(seq)),
                "page {page}: {organization}"
            );
            if !is_of_bodies {
                assert!(seqs(&fixture.found).starts_with(&[1, 2, 3]), "page {page}: {organization}");
            }
            assert!(fixture.opening.last_seq >= 4 + extra, "page {page}: {organization}, {}", fixture.opening.last_seq);
            fixture.close();
        }
        let stats = reader(&path, "acme").stats().unwrap();
        assert_eq!(stats.organizations, ORGANIZATIONS.len(), "page {page}");
    }
}

#[test]
fn damage_that_shows_while_it_is_open_is_mended_for_all() {
    let (_directory, path) = place();
    let mut rigs = ORGANIZATIONS.map(|organization| open(&path, organization));
    rigs.iter_mut().zip(0..).for_each(|(fixture, extra)| fill(fixture, extra));
    // The log is moved into the file, whose page of messages is damaged then.
    rigs.into_iter().for_each(Fixture::close);
    let [mut acme, mut beta] = ["acme", "beta"].map(|organization| open(&path, organization));
    let mut bytes = fs::read(&path).unwrap();
    bytes[3 * 4_096..3 * 4_096 + 200].fill(0xAA);
    fs::write(&path, &bytes).unwrap();
    let third = open(&path, ORGANIZATIONS[2]);
    let at = acme.now();
    acme.store.apply(vec![insert(6, at)]);
    acme.until(|fixture| fixture.restored == 1 || fixture.up_to == 1);
    beta.store.apply(vec![insert(7, at)]);
    beta.until(|fixture| fixture.up_to == 1);
    third.close();
    acme.close();
    beta.close();
    for (organization, seq) in [("acme", 6), ("beta", 7)] {
        let fixture = open(&path, organization);
        assert!(seqs(&fixture.found).contains(&seq), "{organization}");
        fixture.close();
    }
    assert!(Reader::open(&path).unwrap().check().unwrap().ok);
}

#[test]
fn who_looks_from_outside_says_whom() {
    let (_directory, path) = place();
    let mut rigs = ["acme", "beta"].map(|organization| open(&path, organization));
    rigs.iter_mut().zip(0..).for_each(|(fixture, extra)| fill(fixture, extra));
    rigs.into_iter().for_each(Fixture::close);
    for error in [Reader::open(&path).unwrap().stats().err().unwrap(), Editor::open(&path).err().unwrap()] {
        let text = error.to_string();
        assert!(text.contains("2 organizations: \"acme\", \"beta\"") && text.contains("--organization"), "{text}");
    }
    let error = reader(&path, "gamma").stats().err().unwrap();
    assert!(error.to_string().contains("\"gamma\"") && error.to_string().contains("\"beta\""), "{error}");
    for (organization, count) in [("acme", 3), ("beta", 4)] {
        let mut reader = reader(&path, organization);
        let messages = reader.messages(0, Texts::Hidden).unwrap().rows;
        assert_eq!((messages.len(), messages[0].seq), (count, 1));
        let letters = reader.letters(0, Texts::Shown).unwrap().rows;
        assert_eq!((letters.len(), letters[0].number), (1, 1));
        let receipts = reader.receipts(0).unwrap().rows;
        assert_eq!((receipts.len(), receipts[0].number), (1, 1));
        assert!(matches!(&reader.find("m-2", Texts::Hidden).unwrap()[..], [Found::Message(_)]));
        let stats = reader.stats().unwrap();
        assert_eq!((stats.organization.as_deref(), stats.messages.count), (Some(organization), count as u64));
        assert_eq!((stats.messages.sent, stats.messages.retrying, stats.letters.count), (1, 1, 1));
    }
    let mut editor = Editor::open_for(&path, Some("beta")).unwrap();
    assert_eq!(editor.redrive("m-4").unwrap(), 7);
    editor.pause(None).unwrap();
    drop(editor);
    assert_eq!(reader(&path, "acme").letters(0, Texts::Hidden).unwrap().rows.len(), 1, "another organization's");
    assert!(reader(&path, "acme").stats().unwrap().budget.unwrap().hold.is_none());
    assert!(reader(&path, "beta").stats().unwrap().budget.unwrap().hold.is_some());
    let mut editor = Editor::open_for(&path, Some("acme")).unwrap();
    let marked = editor.mark_sent(i64::MAX / 2).unwrap();
    assert_eq!((marked.marked, marked.damaged), (3, 0));
    editor.drop_letter("m-4").unwrap();
    drop(editor);
    let beta = open(&path, "beta");
    assert_eq!((seqs(&beta.found), letters(&beta.found).len()), (vec![1, 2, 3, 6, 7], 0));
    beta.close();
    let acme = open(&path, "acme");
    assert_eq!((seqs(&acme.found), acme.opening.last_seq), (vec![], 5));
    acme.close();
}

#[test]
fn each_forgets_its_receipts_after_its_own_time() {
    let (_directory, path) = place();
    let kept_for = |organization: &str, dedupe: Duration| Options { dedupe, ..of(&path, organization) };
    let mut brief = Fixture::try_open(kept_for("brief", Duration::from_millis(1))).unwrap();
    let mut long = open(&path, "long");
    for fixture in [&mut brief, &mut long] {
        let at = fixture.now();
        fixture.store.apply(inserts(1..=4_100, at));
        fixture.store.apply((1..=4_100).map(|seq| deliver(seq, at)).collect());
        fixture.settled(8_200);
    }
    // After so many changes it is looked through.
    let at = brief.now();
    brief.store.apply(inserts(4_101..=8_200, at));
    brief.settled(12_300);
    brief.close();
    long.close();
    let receipts = |organization| reader(&path, organization).stats().unwrap().receipts.count;
    assert_eq!((receipts("brief"), receipts("long")), (0, 4_100));
}

#[test]
fn a_large_backlog_of_one_holds_nobody_up() {
    const MESSAGES: u64 = 60_000;
    let (_directory, path) = place();
    let [mut large, mut small] = ["large", "small"].map(|organization| open(&path, organization));
    let at = large.now();
    let all: Vec<_> = (0..MESSAGES / 200).map(|some| inserts(some * 200 + 1..=(some + 1) * 200, at)).collect();
    all.into_iter().for_each(|some| large.store.apply(some));
    // Behind all of them.
    small.store.apply(vec![insert(1, at)]);
    small.settled(1);
    while large.hear(Duration::ZERO) {}
    assert!(large.up_to < MESSAGES / 2, "{} came first", large.up_to);
    large.settled(MESSAGES);
    large.close();
    small.close();
}
