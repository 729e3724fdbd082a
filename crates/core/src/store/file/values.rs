//! The few single values of a file, by name.

use rusqlite::{Connection, params};

use super::fault::Result;

/// Remembers one of the few single values.
pub(super) fn set_meta(db: &Connection, name: &str, value: impl rusqlite::ToSql) -> Result<()> {
    db.prepare_cached("REPLACE INTO meta VALUES (?1, ?2)")?.execute(params![name, value])?;
    Ok(())
}

/// One of the few single values.
pub(super) fn meta<T: rusqlite::types::FromSql>(db: &Connection, name: &str) -> Result<Option<T>> {
    let mut statement = db.prepare_cached("SELECT value FROM meta WHERE name = ?1")?;
    let mut rows = statement.query(params![name])?;
    match rows.next()? {
        Some(row) => Ok(row.get(0)?),
        None => Ok(None),
    }
}
