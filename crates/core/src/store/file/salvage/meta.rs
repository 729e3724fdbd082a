//! The single values of a damaged file: its version, the budgets of its organizations.

use std::collections::BTreeMap;

use rusqlite::Connection;
use rusqlite::types::Value;

use super::image::{Image, has_header, number_at};
use super::record::{Kind, Node};
use super::tree::{META, Trees};
use crate::store::file::fault::Result;
use crate::store::file::opened::PRESUMED_SENT;
use crate::store::file::organizations;
use crate::store::file::part::{Part, split_name};
use crate::store::file::schema::{self, APPLICATION_ID};
use crate::store::file::values::set_meta;

const APPLICATION_ID_AT: usize = 68;
const USER_VERSION_AT: usize = 60;
/// What the next run needs.
const TEXTS: [&str; 1] = ["clock"];
const INTEGERS: [&str; 2] = ["created_ms", "openings"];
const TEXTS_OF_PARTS: [&str; 1] = ["budget"];
const INTEGERS_OF_PARTS: [&str; 3] = ["last_seq", "budget_ms", PRESUMED_SENT];

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

    /// The values of this name that parts have.
    fn of_parts(&self, wanted: &str) -> impl Iterator<Item = (Part, &Value)> {
        self.0.iter().filter_map(move |(name, value)| match split_name(name) {
            Some((name, part)) if name == wanted => Some((part, value)),
            _ => None,
        })
    }

    /// The numbers of this name that parts have.
    fn integers(&self, name: &str) -> BTreeMap<Part, i64> {
        let integer = |(part, value): (Part, &Value)| match value {
            Value::Integer(number) => Some((part, *number)),
            _ => None,
        };
        self.of_parts(name).filter_map(integer).collect()
    }

    /// The number of each part's last message, as it was noted.
    pub(super) fn last_seqs(&self) -> BTreeMap<Part, i64> {
        self.integers("last_seq")
    }

    /// How many messages of each conversation count as sent where that is unknown, for each part that says so.
    pub(super) fn presumed_sent(&self) -> BTreeMap<Part, usize> {
        let counts = self.integers(PRESUMED_SENT).into_iter();
        counts.filter_map(|(part, count)| Some((part, usize::try_from(count).ok()?))).collect()
    }

    /// Whose the parts are.
    pub(super) fn organizations(&self) -> impl Iterator<Item = (Part, &str)> {
        self.of_parts(organizations::NAME).filter_map(|(part, value)| match value {
            Value::Text(text) => Some((part, organizations::from_repeated(part, text)?)),
            _ => None,
        })
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
        for (full_name, value) in &self.0 {
            let name = split_name(full_name).map(|(name, _)| name);
            let (texts, integers) = match name {
                Some(_) => (&TEXTS_OF_PARTS[..], &INTEGERS_OF_PARTS[..]),
                None => (&TEXTS[..], &INTEGERS[..]),
            };
            let name = name.unwrap_or(full_name);
            let is_known = match value {
                Value::Text(_) => texts.contains(&name),
                Value::Integer(_) => integers.contains(&name),
                _ => false,
            };
            if is_known {
                set_meta(target, full_name, value)?;
            }
        }
        Ok(())
    }
}
