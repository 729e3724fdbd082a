//! Whether a file is as it was written, and its tables fit together.

use std::collections::HashSet;

use rusqlite::{Connection, Row, params};
use serde::Serialize;

use super::pages::{each, whole};
use crate::store::file::failure::failure_from;
use crate::store::file::fault::{Fault, Result};
use crate::store::file::part::{self, Part, number_of};
use crate::store::file::rows::{
    HEAD, HEAD_COLUMNS, Head, RETURNED, RETURNED_COLUMNS, Returned, TAIL, TAIL_COLUMNS, Tail,
};
use crate::store::file::{organizations, receipts, wire};

/// What SQLite finds wrong is told up to this many times; it says more than enough then.
const VERDICTS_MAX: usize = 20;
/// Rows that are named of each kind of problem.
const EXAMPLES_MAX: usize = 10;

/// What a check has found.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// Nothing is wrong.
    pub ok: bool,
    /// What was looked at.
    pub checked: Counted,
    /// What is wrong.
    pub problems: Vec<Finding>,
}

/// Rows that were looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counted {
    /// Messages, head and body.
    pub messages: u64,
    /// Messages that are on the wire, or came back from it.
    pub flights: u64,
    /// Dead letters.
    pub letters: u64,
    /// Receipts.
    pub receipts: u64,
}

/// One kind of problem.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// What is wrong.
    pub problem: String,
    /// How often.
    pub count: u64,
    /// Numbers or ids of some that it is wrong with.
    pub examples: Vec<String>,
}

impl Finding {
    fn new(problem: &str) -> Self {
        Self { problem: problem.into(), count: 0, examples: Vec::new() }
    }

    fn found(&mut self, example: String) {
        self.count += 1;
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(example);
        }
    }
}

pub(super) fn check(db: &Connection) -> Result<Verdict> {
    let mut checked = Counted::default();
    let mut problems = Vec::new();
    for step in STEPS {
        match step(db, &mut checked) {
            Ok(findings) => problems.extend(findings),
            // What a step can't read is what this is about; the others may still tell more.
            Err(fault) if fault.is_corrupt() => {
                problems.push(Finding { count: 1, ..Finding::new(&format!("the file {}", fault.what())) });
            }
            Err(fault) => return Err(fault),
        }
    }
    // Damage of the file is what several steps come upon.
    let mut told = HashSet::new();
    problems.retain(|finding| finding.count > 0 && told.insert(finding.problem.clone()));
    Ok(Verdict { ok: problems.is_empty(), checked, problems })
}

type Step = fn(&Connection, &mut Counted) -> Result<Vec<Finding>>;

const STEPS: &[Step] = &[pages, parts, messages, letters, deliveries, flights, ids];

/// What SQLite says of its own.
fn pages(db: &Connection, _: &mut Counted) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    each(db, &format!("PRAGMA integrity_check({VERDICTS_MAX})"), [], |row| {
        let verdict: String = row.get(0)?;
        if verdict != "ok" {
            findings.push(Finding { count: 1, ..Finding::new(&format!("SQLite: {verdict}")) });
        }
        Ok(())
    })?;
    Ok(findings)
}

/// Rows that nobody sends, since nobody knows whose they are.
fn parts(db: &Connection, _: &mut Counted) -> Result<Vec<Finding>> {
    let mut nameless = Finding::new("organizations whose name is lost, with the rows that they have");
    for part in organizations::nameless(db, &organizations::all(db)?)? {
        nameless.found(format!("number {}", part.number()));
    }
    Ok(vec![nameless])
}

fn messages(db: &Connection, checked: &mut Counted) -> Result<Vec<Finding>> {
    let mut damaged = Finding::new("messages that are not as they were written");
    let sql = format!("SELECT {HEAD}, {TAIL} FROM messages ORDER BY seq");
    each(db, &sql, [], |row| {
        checked.messages += 1;
        note(&mut damaged, row, 0, whole_message(row))
    })?;
    Ok(vec![damaged, miscounted(db, "messages", checked.messages)?])
}

fn letters(db: &Connection, checked: &mut Counted) -> Result<Vec<Finding>> {
    let mut damaged = Finding::new("dead letters that are not as they were written");
    let sql = format!("SELECT {HEAD}, {TAIL}, failure, response, number FROM letters ORDER BY number");
    each(db, &sql, [], |row| {
        checked.letters += 1;
        note(&mut damaged, row, HEAD_COLUMNS + TAIL_COLUMNS + 2, whole_letter(row))
    })?;
    Ok(vec![damaged, miscounted(db, "letters", checked.letters)?])
}

fn deliveries(db: &Connection, checked: &mut Counted) -> Result<Vec<Finding>> {
    let mut damaged = Finding::new("receipts that are not as they were written");
    let mut rows = 0;
    each(db, receipts::SELECT, params![i64::MIN, i64::MAX], |row| {
        rows += 1;
        note(&mut damaged, row, 0, receipts::read(row).map(|receipts| checked.receipts += receipts.count() as u64))
    })?;
    Ok(vec![damaged, miscounted(db, "deliveries", rows)?])
}

fn flights(db: &Connection, checked: &mut Counted) -> Result<Vec<Finding>> {
    let mut damaged = Finding::new("attempts that are not as they were written");
    let mut stray = Finding::new("attempts of messages that are not in the outbox");
    let mut seen: HashSet<i64> = HashSet::new();
    let sql = format!(
        "SELECT {RETURNED}, EXISTS (SELECT 1 FROM messages m WHERE m.seq = r.seq) FROM returned r ORDER BY seq"
    );
    each(db, &sql, [], |row| {
        let seq: i64 = row.get(0)?;
        seen.insert(seq);
        if !row.get::<_, bool>(RETURNED_COLUMNS)? {
            stray.found(format!("number {}", number_of(seq)));
        }
        note(&mut damaged, row, 0, Returned::read(row, 0).map(drop))
    })?;
    checked.flights = seen.len() as u64;
    let mut log = Finding::new("parts of the log of the wire that are not as they were written");
    let mut is_there = db.prepare("SELECT 1 FROM messages WHERE seq = ?1")?;
    for part in part::with_rows(db)? {
        match wire::read(db, part) {
            Err(fault) if fault.is_corrupt() => log.found(fault.what().to_owned()),
            wire => {
                let keys = wire?.sent.into_keys().map(|seq| part.start().saturating_add(seq));
                for key in keys.filter(|key| !seen.contains(key)) {
                    checked.flights += u64::from(is_there.exists([key])?);
                }
            }
        }
    }
    Ok(vec![damaged, stray, log])
}

/// An organization's id is in one place: among the messages or the letters, and there once. SQLite sorts them in a file
/// of its own.
fn ids(db: &Connection, _: &mut Counted) -> Result<Vec<Finding>> {
    let mut twice = Finding::new("ids that are there more than once, among messages and dead letters");
    let sql = "SELECT id FROM (SELECT seq / ?1 AS part, id FROM messages UNION ALL SELECT number / ?1, id FROM letters)
               GROUP BY part, id HAVING count(*) > 1";
    each(db, sql, [Part::FIRST.end().saturating_add(1)], |row| {
        twice.found(format!("id {:?}", row.get::<_, String>(0)?));
        Ok(())
    })?;
    Ok(vec![twice])
}

fn whole_message(row: &Row<'_>) -> Result<()> {
    let head = Head::read(row, 0)?;
    let tail = Tail::read(row, HEAD_COLUMNS, &head)?;
    same(tail.body.len() as u64 == u64::from(head.bytes))
}

fn whole_letter(row: &Row<'_>) -> Result<()> {
    whole_message(row)?;
    let text: String = row.get(HEAD_COLUMNS + TAIL_COLUMNS)?;
    let response: Option<Vec<u8>> = row.get(HEAD_COLUMNS + TAIL_COLUMNS + 1)?;
    failure_from(&text, response.as_deref(), "").map(drop)
}

fn same(is_same: bool) -> Result<()> {
    if is_same { Ok(()) } else { Err(Fault::corrupt("contains rows that cannot be decoded")) }
}

/// Notes a row that is damaged, by the number in column `key`.
fn note(damaged: &mut Finding, row: &Row<'_>, key: usize, read: Result<()>) -> Result<()> {
    match read {
        Err(fault) if fault.is_corrupt() => {
            damaged.found(format!("number {}", number_of(row.get(key)?)));
            Ok(())
        }
        other => other,
    }
}

/// A table that counts otherwise than it reads has pages that hang together wrongly.
fn miscounted(db: &Connection, table: &str, read: u64) -> Result<Finding> {
    let counted: u64 = db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| whole(row, 0))?;
    let problem = format!("{table} count {counted}, but {read} can be read");
    Ok(Finding { count: u64::from(counted != read), ..Finding::new(&problem) })
}
