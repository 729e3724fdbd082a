//! Whose the parts of a file are. A part without a name would be sent by nobody, or by another organization, so each
//! name is written in two trees, with a checksum: a page that is lost takes one of them.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, Row as SqlRow, params};

use super::fault::{Fault, Result, damage};
use super::part::{self, PARTS_MAX, Part};
use super::rows::checksum;
use crate::error::StoreErrorKind;

/// The single value that repeats a part's name.
pub(super) const NAME: &str = "organization";
/// Organizations that an error names.
const NAMED_MAX: usize = 10;

/// All columns, in the order of [`read`]; behind a number, in order.
pub(super) const SELECT: &str = "SELECT number, sum, name FROM organizations WHERE number > ?1 ORDER BY number";

/// The organizations of a file, by name.
pub(super) type Organizations = BTreeMap<Box<str>, Part>;

/// A row of [`SELECT`]; damaged when it isn't as it was written.
fn read(row: &SqlRow<'_>) -> Result<(Part, Box<str>)> {
    let number: i64 = row.get(0)?;
    let name = row.get_ref(2)?.as_str().map_err(damage)?;
    match Part::new(number) {
        Some(part) if row.get::<_, i64>(1)? == checksum(number, name) => Ok((part, name.into())),
        _ => Err(Fault::corrupt("holds an organization's name that is not as it was written")),
    }
}

/// Whether a row of [`SELECT`] is as it was written.
pub(super) fn is_sound(row: &SqlRow<'_>) -> bool {
    read(row).is_ok()
}

/// All of them.
pub(super) fn all(db: &Connection) -> Result<Organizations> {
    let mut organizations = Organizations::new();
    let mut statement = db.prepare(SELECT)?;
    let mut rows = statement.query(params![i64::MIN])?;
    while let Some(row) = rows.next()? {
        let (part, name) = read(row)?;
        if organizations.insert(name, part).is_some() {
            return Err(Fault::corrupt("is damaged: an organization has two parts of it"));
        }
    }
    Ok(organizations)
}

/// The same of a file that is about to be used: every row has to be somebody's, or nobody would ever send it.
pub(super) fn whole(db: &Connection) -> Result<Organizations> {
    let organizations = all(db)?;
    match nameless(db, &organizations)?.is_empty() {
        true => Ok(organizations),
        false => Err(Fault::corrupt("is damaged: it has rows of an organization whose name is lost")),
    }
}

/// The parts that have rows, and no name.
pub(super) fn nameless(db: &Connection, organizations: &Organizations) -> Result<BTreeSet<Part>> {
    let named: BTreeSet<Part> = organizations.values().copied().collect();
    Ok(part::with_rows(db)?.difference(&named).copied().collect())
}

/// The part that another organization would have, behind all others.
pub(super) fn free(taken: impl Iterator<Item = Part>) -> Result<Part> {
    let number = taken.max().map_or(0, |part| part.number() + 1);
    let full = || Fault::new(StoreErrorKind::Failed, format!("has {PARTS_MAX} organizations, and no room for another"));
    Part::new(number).ok_or_else(full)
}

/// Gives a part to an organization: within a transaction.
pub(super) fn add(db: &Connection, part: Part, organization: &str) -> Result<()> {
    db.prepare_cached("REPLACE INTO organizations VALUES (?1, ?2, ?3)")?.execute(params![
        part.number(),
        checksum(part.number(), organization),
        organization
    ])?;
    part.set_meta(db, NAME, repeated(part, organization))
}

/// A part's name as the single value [`NAME`] has it.
fn repeated(part: Part, organization: &str) -> String {
    format!("{} {organization}", checksum(part.number(), organization))
}

/// The name in such a value; `None` when it isn't as it was written.
pub(super) fn from_repeated(part: Part, text: &str) -> Option<&str> {
    let (sum, name) = text.split_once(' ')?;
    (sum.parse() == Ok(checksum(part.number(), name))).then_some(name)
}

/// The part that is meant by whoever looks at a file from outside: nothing needs to be said of a file of one
/// organization.
pub(super) fn meant(organizations: &Organizations, organization: Option<&str>) -> Result<Part> {
    match (organization, organizations.len()) {
        (None, 0) => Ok(Part::FIRST),
        (None, 1) => Ok(organizations.values().next().copied().unwrap_or(Part::FIRST)),
        (None, count) => {
            let what = format!("is of {count} organizations: {}", names(organizations));
            Err(Fault::new(StoreErrorKind::Mismatch, what)
                .with_advice("say which of them is meant, with --organization"))
        }
        (Some(name), _) => organizations.get(name).copied().ok_or_else(|| {
            let names = if organizations.is_empty() { "none".to_owned() } else { names(organizations) };
            let what = format!("has no part for the organization {name:?}; it has {names}");
            Fault::new(StoreErrorKind::Mismatch, what).with_advice("name one of these, or look into another file")
        }),
    }
}

fn names(organizations: &Organizations) -> String {
    let named: Vec<String> = organizations.keys().take(NAMED_MAX).map(|name| format!("{name:?}")).collect();
    let more = organizations.len().saturating_sub(NAMED_MAX);
    let named = named.join(", ");
    if more > 0 { format!("{named} and {more} more") } else { named }
}
