//! The single values of a damaged file: whose it is, its version, its budget.

use std::collections::BTreeMap;

use rusqlite::Connection;
use rusqlite::types::Value;

use super::image::{Image, has_header, number_at};
use super::record::{Kind, Node};
use super::tree::{META, Trees};
use crate::error::Trouble;
use crate::store::file::schema::{self, APPLICATION_ID};
use crate::store::file::trouble::{Fault, Result};
use crate::store::file::values::set_meta;

const APPLICATION_ID_AT: usize = 68;
const USER_VERSION_AT: usize = 60;

/// The single values that could be read.
#[derive(Debug, Default)]
pub(super) struct Meta(BTreeMap<String, Value>);

impl Meta {
    pub(super) fn read(image: &Image, trees: &Trees) -> Result<Self> {
        let mut meta = Self::default();
        for number in trees.pages().filter(|page| trees.root_of(*page) == Some(META)) {
            let node = image.page(number)?.and_then(Node::of);
            let is_index = |node: &Node| matches!(node.kind, Kind::IndexLeaf | Kind::IndexInterior);
            let Some(node) = node.filter(is_index) else { continue };
            for cell in 0..node.cells() {
                if let Some([Value::Text(name), value]) = node.entry(cell, image)?.as_deref() {
                    meta.0.insert(name.clone(), value.clone());
                }
            }
        }
        Ok(meta)
    }

    fn integer(&self, name: &str) -> Option<i64> {
        self.0.get(name).and_then(|value| if let Value::Integer(number) = value { Some(*number) } else { None })
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(|value| if let Value::Text(text) = value { Some(text.as_str()) } else { None })
    }

    /// The number of the last message, as it was noted.
    pub(super) fn last_seq(&self) -> Option<i64> {
        self.integer("last_seq")
    }

    /// Refuses a file that says it is another organization's, which must not become this one's.
    pub(super) fn check_owner(&self, organization: &str) -> Result<()> {
        match self.text("organization") {
            Some(owner) if owner != organization => {
                Err(Fault::new(Trouble::Mismatch, format!("belongs to the organization {owner:?}")))
            }
            _ => Ok(()),
        }
    }

    /// Refuses a file whose tables are those of another version, which would be taken for damage here. It says so in
    /// this table and in the header, and either can be damaged: one that names this version is enough to go on.
    pub(super) fn check_version(&self, image: &Image) -> Result<()> {
        let version = |number: i64| usize::try_from(number).ok().filter(|version| *version > 0);
        let first = image
            .page(1)?
            .filter(|page| has_header(page) && number_at(&**page, APPLICATION_ID_AT) == APPLICATION_ID.cast_unsigned());
        let header = first.map(|page| i64::from(number_at(&*page, USER_VERSION_AT)));
        let mut stated = [self.integer("schema"), header].into_iter().flatten().filter_map(version);
        match stated.next() {
            Some(other) if other != schema::VERSION && stated.all(|also| also == other) => {
                Err(schema::of_other_version(other))
            }
            _ => Ok(()),
        }
    }

    /// Writes what the next run needs of it.
    pub(super) fn copy(&self, target: &Connection) -> Result<()> {
        for name in ["budget", "clock"] {
            if let Some(text) = self.text(name) {
                set_meta(target, name, text)?;
            }
        }
        for name in ["last_seq", "budget_ms", "created_ms", "openings"] {
            if let Some(number) = self.integer(name) {
                set_meta(target, name, number)?;
            }
        }
        Ok(())
    }
}
