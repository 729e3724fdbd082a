//! Rows to values and back. Each message carries checksums of its own, since SQLite has none: a flipped bit must not
//! send a text to another conversation.

use rusqlite::{Connection, Row as SqlRow, params};

use super::failure::failure_from;
use super::fault::{Fault, Result, damage};
use super::part::{Part, seq_of};
use super::times::Times;
use crate::message::{Message, Parts, Payload};
use crate::outcome::{DeadLetter, DeliveryFailure};
use crate::store::{Record, Row, SEQ_MAX, Seq, Waiting, batch_of};

/// What a message is, in the order of [`Head::read`]; `messages` and `letters` alike have these columns.
pub(super) const HEAD: &str =
    "seq, id, given, conversation, priority, bytes, submitted_ms, expires_ms, not_before_ms, head, tail";
/// The large part, in the order of [`Tail::read`].
pub(super) const TAIL: &str = "params, headers, traceparent, body";
pub(super) const HEAD_COLUMNS: usize = 11;
pub(super) const TAIL_COLUMNS: usize = 4;

/// A message without its large part, as the file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) seq: i64,
    pub(super) id: Box<str>,
    pub(super) given: bool,
    pub(super) conversation: Box<str>,
    pub(super) priority: i8,
    pub(super) bytes: u32,
    pub(super) submitted_ms: i64,
    pub(super) expires_ms: Option<i64>,
    pub(super) not_before_ms: Option<i64>,
    pub(super) sum: i64,
    pub(super) tail_sum: i64,
}

impl Head {
    pub(super) fn of(part: Part, record: &Record, tail: &Tail<'_>, times: &Times) -> Self {
        let mut head = Self {
            seq: part.key(record.seq),
            id: record.message.id().into(),
            given: record.message.id_given(),
            conversation: record.message.conversation().into(),
            priority: record.priority,
            bytes: u32::try_from(record.message.body().len()).unwrap_or(u32::MAX),
            submitted_ms: times.ms(record.submitted_at),
            expires_ms: record.expires_at.map(|at| times.ms(at)),
            not_before_ms: record.not_before.map(|at| times.ms(at)),
            sum: 0,
            tail_sum: tail.sum(),
        };
        head.sum = head.checksum();
        head
    }

    /// Reads the columns of [`HEAD`] from `first` on; damaged when they aren't those that were written.
    pub(super) fn read(row: &SqlRow<'_>, first: usize) -> Result<Self> {
        let text =
            |index: usize| -> Result<Box<str>> { Ok(row.get_ref(first + index)?.as_str().map_err(damage)?.into()) };
        let head = Self {
            seq: row.get(first)?,
            id: text(1)?,
            given: row.get(first + 2)?,
            conversation: text(3)?,
            priority: row.get(first + 4)?,
            bytes: row.get(first + 5)?,
            submitted_ms: row.get(first + 6)?,
            expires_ms: row.get(first + 7)?,
            not_before_ms: row.get(first + 8)?,
            sum: row.get(first + 9)?,
            tail_sum: row.get(first + 10)?,
        };
        if head.checksum() == head.sum {
            Ok(head)
        } else {
            Err(Fault::corrupt("holds a message that is not as it was written"))
        }
    }

    /// The message as it comes in again, with a key of its part: behind all others, from now on, and without an end of
    /// its time.
    pub(super) fn anew(self, seq: i64, now_ms: i64) -> Self {
        let mut head = Self { seq, submitted_ms: now_ms, expires_ms: None, not_before_ms: None, ..self };
        head.sum = head.checksum();
        head
    }

    fn checksum(&self) -> i64 {
        let mut sum = crc32fast::Hasher::new();
        for number in [
            self.seq,
            self.id.len() as i64,
            i64::from(self.given),
            i64::from(self.priority),
            i64::from(self.bytes),
            self.submitted_ms,
            // No time is negative.
            self.expires_ms.unwrap_or(-1),
            self.not_before_ms.unwrap_or(-1),
        ] {
            sum.update(&number.to_le_bytes());
        }
        sum.update(self.id.as_bytes());
        sum.update(self.conversation.as_bytes());
        i64::from(sum.finalize())
    }

    fn waiting(self, times: &Times) -> Waiting {
        Waiting {
            seq: seq_of(self.seq),
            id: self.id,
            conversation: self.conversation,
            priority: self.priority,
            bytes: self.bytes,
            expires_at: self.expires_ms.map(|ms| times.at(ms)),
        }
    }
}

/// The large part of a message, as the file has it.
#[derive(Clone, Debug)]
pub(super) struct Tail<'a> {
    pub(super) params: Option<&'a str>,
    pub(super) headers: Option<&'a str>,
    pub(super) traceparent: Option<&'a str>,
    pub(super) body: &'a [u8],
}

impl<'a> Tail<'a> {
    pub(super) fn of(message: &'a Message) -> Self {
        Self {
            params: message.params_json(),
            headers: message.headers_json(),
            traceparent: message.traceparent(),
            body: message.body().as_bytes(),
        }
    }

    /// Reads the columns of [`TAIL`] from `first` on.
    pub(super) fn read(row: &'a SqlRow<'_>, first: usize, head: &Head) -> Result<Self> {
        let body = row.get_ref(first + 3)?.as_blob().map_err(damage)?;
        let tail = Self { body, ..Self::read_without_body(row, first)? };
        if tail.sum() == head.tail_sum {
            Ok(tail)
        } else {
            Err(Fault::corrupt("holds a body that is not as it was written"))
        }
    }

    /// The same without the body, and so without knowing whether it is as it was written: that shows when the body is
    /// read.
    fn read_without_body(row: &'a SqlRow<'_>, first: usize) -> Result<Self> {
        let text = |index: usize| row.get_ref(first + index)?.as_str_or_null().map_err(damage);
        Ok(Self { params: text(0)?, headers: text(1)?, traceparent: text(2)?, body: &[] })
    }

    fn sum(&self) -> i64 {
        let mut sum = crc32fast::Hasher::new();
        for text in [self.params, self.headers, self.traceparent] {
            sum.update(&text.map_or(-1, |text| text.len() as i64).to_le_bytes());
            sum.update(text.unwrap_or_default().as_bytes());
        }
        sum.update(self.body);
        i64::from(sum.finalize())
    }

    fn message(self, head: &Head) -> Result<Message> {
        let parts = Parts {
            id: &head.id,
            id_given: head.given,
            conversation: &head.conversation,
            params: self.params.unwrap_or_default(),
            headers: self.headers.unwrap_or_default(),
            traceparent: self.traceparent.unwrap_or_default(),
            body: std::str::from_utf8(self.body).map_err(damage)?,
        };
        Message::new(parts).map_err(damage)
    }
}

/// What is known of a message that came back from the wire and goes on waiting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Returned {
    pub(super) attempts: u32,
    pub(super) first_attempt_ms: Option<i64>,
    pub(super) ambiguous: bool,
    pub(super) batch: Option<i64>,
}

/// In the order of [`Returned::read`]; the first is null for a message that has never come back.
pub(super) const RETURNED: &str = "r.seq, r.attempts, r.first_attempt_ms, r.ambiguous, r.batch, r.sum";
pub(super) const RETURNED_COLUMNS: usize = 6;

impl Returned {
    /// Whether it is as if it had never left: turned away at the gate, it has spent nothing.
    pub(super) fn is_as_new(&self) -> bool {
        self.attempts == 0 && !self.ambiguous && self.batch.is_none()
    }

    pub(super) fn read(row: &SqlRow<'_>, first: usize) -> Result<Option<Self>> {
        let Some(seq) = row.get::<_, Option<i64>>(first)? else { return Ok(None) };
        let returned = Self {
            attempts: row.get(first + 1)?,
            first_attempt_ms: row.get(first + 2)?,
            ambiguous: row.get(first + 3)?,
            batch: row.get(first + 4)?,
        };
        if returned.batch.is_some_and(|batch| batch_of(u64::try_from(batch).unwrap_or(0)) == 0) {
            // Numbers begin at 1: this was written as something else.
            return Err(Fault::corrupt("contains attempts that cannot be decoded"));
        }
        if row.get::<_, i64>(first + 5)? != returned.checksum(seq) {
            return Err(Fault::corrupt("holds attempts that are not as they were written"));
        }
        Ok(Some(returned))
    }

    /// Takes the place of what was known before, if the message is there.
    pub(super) fn write(&self, db: &Connection, seq: i64) -> Result<()> {
        let Self { attempts, first_attempt_ms, ambiguous, batch } = self;
        let mut statement = db.prepare_cached(
            "REPLACE INTO returned SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE EXISTS (SELECT 1 FROM messages WHERE seq = ?1)",
        )?;
        statement.execute(params![seq, attempts, first_attempt_ms, ambiguous, batch, self.checksum(seq)])?;
        Ok(())
    }

    /// Forgets what is known of messages. Mostly none of a part has come back; otherwise all of them take one look.
    pub(super) fn forget(db: &Connection, part: Part, seqs: &[Seq]) -> Result<()> {
        let mut any = db.prepare_cached("SELECT 1 FROM returned WHERE seq > ?1 AND seq <= ?2 LIMIT 1")?;
        if !any.exists(params![part.start(), part.end()])? {
            return Ok(());
        }
        let keys: Vec<i64> = seqs.iter().map(|seq| part.key(*seq)).collect();
        let list = serde_json::to_string(&keys).map_err(damage)?;
        let mut statement = db.prepare_cached("DELETE FROM returned WHERE seq IN (SELECT value FROM json_each(?1))")?;
        statement.execute(params![list])?;
        Ok(())
    }

    fn checksum(&self, seq: i64) -> i64 {
        let fields = (self.attempts, self.first_attempt_ms, self.ambiguous, self.batch);
        checksum(seq, &format!("{fields:?}"))
    }
}

/// The largest number of a row of receipts or of the wire in its part: they count up by one, and each must have a next
/// one.
pub(super) const NUMBER_MAX: i64 = SEQ_MAX as i64 / 2;

/// The checksum of a row's number and its text.
pub(super) fn checksum(number: i64, text: &str) -> i64 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&number.to_le_bytes());
    sum.update(text.as_bytes());
    i64::from(sum.finalize())
}

/// A body that is larger than this is told by its length, unless its message belongs to a batch: an engine loads it
/// when its turn is near.
const TOLD_BODY_BYTES_MAX: u32 = 65_536;

/// All messages from behind a key up to another one, in order; the large part of those alone that have come back from
/// the wire.
pub(super) fn scan_sql() -> String {
    let head = prefixed(HEAD);
    let part = |column: &str| match column {
        "body" => format!(
            "CASE WHEN r.seq IS NOT NULL AND (r.batch IS NOT NULL OR m.bytes <= {TOLD_BODY_BYTES_MAX}) THEN m.body END"
        ),
        column => format!("CASE WHEN r.seq IS NOT NULL THEN m.{column} END"),
    };
    let tail = TAIL.split(", ").map(part).collect::<Vec<_>>().join(", ");
    format!(
        "SELECT {head}, {RETURNED}, {tail} FROM messages m LEFT JOIN returned r ON r.seq = m.seq
         WHERE m.seq > ?1 AND m.seq <= ?2 ORDER BY m.seq"
    )
}

/// One message, whole.
pub(super) fn load_sql() -> String {
    let (head, tail) = (prefixed(HEAD), prefixed(TAIL));
    format!("SELECT {head}, {RETURNED}, {tail} FROM messages m LEFT JOIN returned r ON r.seq = m.seq WHERE m.seq = ?1")
}

/// All letters from behind a key up to another one, in order.
pub(super) fn letters_sql() -> String {
    format!(
        "SELECT {HEAD}, {TAIL}, number, at_ms, failure, response FROM letters
         WHERE number > ?1 AND number <= ?2 ORDER BY number"
    )
}

/// The columns as those of the table `m`.
pub(super) fn prefixed(columns: &str) -> String {
    columns.split(", ").map(|column| format!("m.{column}")).collect::<Vec<_>>().join(", ")
}

/// A row of [`scan_sql`], of a message that isn't on the wire.
pub(super) fn found(row: &SqlRow<'_>, times: &Times) -> Result<Row> {
    let head = Head::read(row, 0)?;
    match Returned::read(row, HEAD_COLUMNS)? {
        None => Ok(Row::Waiting(head.waiting(times))),
        Some(returned) => {
            let is_told = returned.batch.is_some() || head.bytes <= TOLD_BODY_BYTES_MAX;
            let tail = if is_told { Tail::read(row, TAIL_AT, &head)? } else { Tail::read_without_body(row, TAIL_AT)? };
            let record = record_of(tail, &head, &returned, times)?;
            Ok(Row::Started(Box::new(Record { body_bytes: (!is_told).then_some(head.bytes), ..record })))
        }
    }
}

/// A row of [`load_sql`], of a message that isn't on the wire, whole.
pub(super) fn record(row: &SqlRow<'_>, times: &Times) -> Result<Record> {
    let head = Head::read(row, 0)?;
    let returned = Returned::read(row, HEAD_COLUMNS)?.unwrap_or_default();
    record_of(Tail::read(row, TAIL_AT, &head)?, &head, &returned, times)
}

/// Where [`scan_sql`] and [`load_sql`] have the large part.
const TAIL_AT: usize = HEAD_COLUMNS + RETURNED_COLUMNS;

fn record_of(tail: Tail<'_>, head: &Head, returned: &Returned, times: &Times) -> Result<Record> {
    Ok(Record {
        seq: seq_of(head.seq),
        message: tail.message(head)?,
        priority: head.priority,
        submitted_at: times.at(head.submitted_ms),
        expires_at: head.expires_ms.map(|ms| times.at(ms)),
        not_before: head.not_before_ms.map(|ms| times.at(ms)),
        attempts: returned.attempts,
        first_attempt_at: returned.first_attempt_ms.map(|ms| times.at(ms)),
        ambiguous: returned.ambiguous,
        sent: false,
        batch: returned.batch.and_then(|batch| u64::try_from(batch).ok()),
        body_bytes: None,
    })
}

/// A row of [`letters_sql`].
pub(super) fn letter(row: &SqlRow<'_>, times: &Times) -> Result<DeadLetter> {
    let head = Head::read(row, 0)?;
    let tail = Tail::read(row, HEAD_COLUMNS, &head)?;
    Ok(DeadLetter {
        payload: Payload::Message(tail.message(&head)?),
        priority: head.priority,
        failure: failure(row, &head.id)?,
        at: times.at(row.get(LETTER_FAILURE - 1)?),
    })
}

fn failure(row: &SqlRow<'_>, id: &str) -> Result<DeliveryFailure> {
    let text = row.get_ref(LETTER_FAILURE)?.as_str().map_err(damage)?;
    let body = row.get_ref(LETTER_FAILURE + 1)?.as_blob_or_null().map_err(damage)?;
    failure_from(text, body, id)
}

/// Where [`letters_sql`] has the letter's number; when it was follows.
pub(super) const LETTER_NUMBER: usize = HEAD_COLUMNS + TAIL_COLUMNS;
/// Where it has the failure; the answer's body follows.
const LETTER_FAILURE: usize = LETTER_NUMBER + 2;

/// Whether the columns of [`HEAD`] and [`TAIL`] are those that were written.
pub(super) fn is_message(row: &SqlRow<'_>) -> bool {
    Head::read(row, 0).is_ok_and(|head| Tail::read(row, HEAD_COLUMNS, &head).is_ok())
}

/// Whether a row of [`letters_sql`] makes sense.
pub(super) fn is_letter(row: &SqlRow<'_>) -> bool {
    is_message(row) && row.get::<_, i64>(LETTER_FAILURE - 1).is_ok() && failure(row, "").is_ok()
}

/// Whether a row of all columns of `returned` is as it was written.
pub(super) fn is_returned(row: &SqlRow<'_>) -> bool {
    Returned::read(row, 0).is_ok_and(|returned| returned.is_some())
}
