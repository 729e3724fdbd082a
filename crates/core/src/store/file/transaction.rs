//! A transaction.

use rusqlite::Connection;

use super::fault::{Fault, Result};

/// Does all of it or nothing.
pub(super) fn in_transaction<T>(db: &Connection, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let outcome =
        db.prepare_cached("BEGIN IMMEDIATE")?.execute([]).map_err(Fault::from).and_then(|_| work()).and_then(|done| {
            db.prepare_cached("COMMIT")?.execute([])?;
            Ok(done)
        });
    if outcome.is_err() && !db.is_autocommit() {
        // SQLite undoes by itself what it can't undo when asked.
        let _ = db.execute_batch("ROLLBACK");
    }
    outcome
}
