//! Messages that were found on pages of which nobody knows whether they are in use. Deleted rows stay on free pages for
//! a while; if it is lost which pages those are, a message there waits, or was delivered long ago.
//!
//! The rule: one that is known to have ended (its receipt or its dead letter is there, or it came in again) stays away.
//! Any other counts as sent, with an unknown outcome: with `ambiguous: 'retry'` it is sent again, at least once; with
//! `ambiguous: 'fail'` it becomes a dead letter that is marked as ambiguous, since nothing may be sent twice.

use std::collections::{BTreeMap, HashMap, HashSet};

use rusqlite::{Connection, params};

use super::copy::Copied;
use crate::store::file::fault::Result;
use crate::store::file::part::{Part, number_of};
use crate::store::file::receipts;
use crate::store::file::wire::Presumed;

/// `now_ms` is the file's time.
pub(super) fn settle(db: &Connection, copied: &Copied, now_ms: i64) -> Result<()> {
    if copied.doubtful.is_empty() && copied.doubtful_letters.is_empty() {
        return Ok(());
    }
    db.execute_batch("BEGIN")?;
    let ended = ended(db, &copied.doubtful)?;
    for seq in &ended {
        db.execute("DELETE FROM messages WHERE seq = ?1", [seq])?;
    }
    for number in letters_sent_again(db, &copied.doubtful_letters)? {
        db.execute("DELETE FROM letters WHERE number = ?1", [number])?;
    }
    let mut doubtful: BTreeMap<Part, Vec<i64>> = BTreeMap::new();
    for key in copied.doubtful.difference(&ended) {
        if let Some(part) = Part::of(*key) {
            doubtful.entry(part).or_default().push(number_of(*key));
        }
    }
    for (part, mut seqs) in doubtful {
        seqs.sort_unstable();
        let mut presumed = Presumed::new(db, part, now_ms)?;
        for seq in seqs {
            presumed.add(seq, 1)?;
        }
        presumed.finish()?;
    }
    db.execute_batch("COMMIT")?;
    Ok(())
}

/// Those among the messages whose end is known.
fn ended(db: &Connection, doubtful: &HashSet<i64>) -> Result<HashSet<i64>> {
    // Another organization's message of the same id is another one.
    let mut by_id: HashMap<(Option<Part>, Box<str>), (i64, i64)> = HashMap::new();
    let mut ended = HashSet::new();
    // Two of one id: the newer one came in after the older one had ended.
    let mut statement = db.prepare("SELECT seq, id, submitted_ms FROM messages ORDER BY seq")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let seq: i64 = row.get(0)?;
        if let Some((older, _)) = by_id.insert((Part::of(seq), row.get(1)?), (seq, row.get(2)?))
            && doubtful.contains(&older)
        {
            ended.insert(older);
        }
    }
    let mut statement = db.prepare("SELECT seq FROM letters")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        ended.extend(Some(row.get::<_, i64>(0)?).filter(|seq| doubtful.contains(seq)));
    }
    let mut statement = db.prepare(receipts::SELECT)?;
    let mut rows = statement.query(params![i64::MIN, i64::MAX])?;
    while let Some(row) = rows.next()? {
        let part = Part::of(row.get(0)?);
        for (_, receipt) in receipts::read(row)? {
            if let Some((seq, submitted_ms)) = by_id.get(&(part, receipt.id.into()))
                && doubtful.contains(seq)
                && receipt.at_ms >= *submitted_ms
            {
                ended.insert(*seq);
            }
        }
    }
    Ok(ended)
}

/// Those among the letters whose message is in the outbox again.
fn letters_sent_again(db: &Connection, doubtful: &HashSet<i64>) -> Result<Vec<i64>> {
    let sql = "SELECT l.number, m.seq FROM letters l JOIN messages m ON m.id = l.id";
    let mut statement = db.prepare(sql)?;
    let pairs = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let pairs = pairs.collect::<rusqlite::Result<Vec<(i64, i64)>>>()?;
    let are_of_one = |(number, seq): &(i64, i64)| Part::of(*number) == Part::of(*seq);
    Ok(pairs
        .into_iter()
        .filter(are_of_one)
        .map(|(number, _)| number)
        .filter(|number| doubtful.contains(number))
        .collect())
}
