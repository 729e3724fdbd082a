use super::*;
use crate::clock::Clock;

const PAGE: u64 = 4_096;
const TICK: Duration = Duration::from_secs(1);

struct Fixture {
    _directory: tempfile::TempDir,
    path: PathBuf,
    db: Connection,
    time: FileTime,
    upkeep: Upkeep,
    now: Timestamp,
}

/// A file of which a backlog of some megabytes has just left.
fn emptied() -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("outbox.db");
    let options = Options { durability: Durability::ProcessCrash, ..Options::new(&path, "acme") };
    connection::create(&path).unwrap();
    let db = connection::open_prepared(&path, &options).unwrap();
    connection::begin_writing(&db).unwrap();
    let (clock, now) = (Clock::start(), Timestamp::from_micros(1_000_000));
    let time = FileTime::of(&db, &clock).unwrap();
    let upkeep = Upkeep::new(&path, &options, now);
    db.execute_batch("CREATE TABLE backlog(body); CREATE TABLE flow(body);").unwrap();
    let fill = "WITH RECURSIVE n(n) AS (VALUES(1) UNION ALL SELECT n + 1 FROM n WHERE n < 8000)
                INSERT INTO backlog SELECT zeroblob(3000) FROM n";
    db.execute_batch(fill).unwrap();
    connection::checkpoint(&db, "PASSIVE").unwrap();
    db.execute_batch("DELETE FROM backlog").unwrap();
    Fixture { _directory: directory, path, db, time, upkeep, now }
}

impl Fixture {
    fn bytes(&self) -> u64 {
        std::fs::metadata(&self.path).unwrap().len()
    }

    /// A commit of some changes, and what the writer does until the next one.
    fn tick(&mut self, changes: usize, every: Duration) {
        self.db.execute_batch("DELETE FROM flow; INSERT INTO flow VALUES (zeroblob(300))").unwrap();
        self.upkeep.wrote(changes, Pages::of(&self.db).unwrap());
        self.upkeep.after_commit(&self.db, self.now, &self.time);
        let next = self.now.after(every);
        while self.now < next {
            self.upkeep.idle(&self.db, self.now, &self.time);
            let wait = self.upkeep.wait(self.now).unwrap_or(every).max(Duration::from_millis(1));
            self.now = self.now.after(wait).min(next);
        }
    }
}

#[test]
fn free_pages_are_given_back_while_a_message_per_second_flows() {
    let mut fixture = emptied();
    let peak = fixture.bytes();
    assert!(peak > 24 * 1_000_000, "{peak}");
    // Three changes per message, as they come: within less than a second of each other.
    for _ in 0..90 {
        fixture.tick(1, TICK / 3);
    }
    let bound = (u64::try_from(FREE_PAGES_KEPT).unwrap() + 64) * PAGE;
    assert!(fixture.bytes() <= bound, "{} of {peak} bytes after 30 s", fixture.bytes());
}

#[test]
fn a_busy_flow_gives_pages_back_rarely() {
    let mut fixture = emptied();
    let free =
        |fixture: &Fixture| -> i64 { fixture.db.query_row("PRAGMA freelist_count", [], |row| row.get(0)).unwrap() };
    let before = free(&fixture);
    for _ in 0..100 {
        fixture.tick(600, Duration::from_millis(100));
    }
    let slices = (before - free(&fixture)).div_euclid(SLICE_PAGES);
    assert!((1..=3).contains(&slices), "{slices} slices in 10 s");
}

#[test]
fn a_file_that_is_in_order_wakes_for_nothing_but_its_receipts() {
    let mut fixture = emptied();
    let day = Duration::from_secs(86_400);
    fixture.upkeep.begin_part(Part::FIRST, day, fixture.now);
    let settles = |fixture: &mut Fixture| {
        for step in 0..1_000 {
            fixture.upkeep.idle(&fixture.db, fixture.now, &fixture.time);
            match fixture.upkeep.wait(fixture.now) {
                Some(wait) if wait < day / 2 => fixture.now = fixture.now.after(wait.max(Duration::from_millis(1))),
                wait => return (step, wait),
            }
        }
        panic!("it never is");
    };
    let (steps, wait) = settles(&mut fixture);
    assert!(steps < 200 && wait.is_none(), "{steps} steps, then {wait:?}");
    // A receipt has to go in a day.
    let at_ms = fixture.time.times().now_ms();
    let receipt = "INSERT INTO deliveries VALUES (1, 1, ?1, 0, '[]')";
    fixture.db.execute(receipt, [at_ms]).unwrap();
    fixture.upkeep.wrote_part(Part::FIRST, 1, fixture.now);
    fixture.upkeep.wrote(1, Pages::of(&fixture.db).unwrap());
    fixture.upkeep.after_commit(&fixture.db, fixture.now, &fixture.time);
    let (_, wait) = settles(&mut fixture);
    assert!(wait.is_some_and(|wait| wait > day - Duration::from_secs(120)), "{wait:?}");
    fixture.upkeep.end_part(Part::FIRST);
    let (_, wait) = settles(&mut fixture);
    assert!(wait.is_none(), "{wait:?}");
}
