//! What each page of a damaged file is for. The file says so in several places, and each of them can be damaged:
//!
//! - the trees, walked from their roots, which are the same pages in every file (see `schema`);
//! - the pointer map, which names the use and the parent of every page;
//! - the list of free pages.
//!
//! A leaf that something calls used and nothing calls free holds rows of the outbox, even if the pages above it are
//! lost. A leaf that is only called free holds rows that were deleted. Of any other nobody knows.

use std::collections::HashSet;

use super::image::{Image, PAGE, has_header, number_at};
use super::record::{Kind, Node};
use crate::store::file::fault::Result;

/// The roots of the tables, in the order of their making.
pub(super) const META: u32 = 3;
pub(super) const MESSAGES: u32 = 4;
pub(super) const WIRE: u32 = 6;
pub(super) const LETTERS: u32 = 9;
const TABLES: std::ops::RangeInclusive<u32> = META..=LETTERS;
const POINTER_BYTES: usize = 5;
/// Pages that a page of the pointer map describes, and itself.
const MAP_STRIDE: u32 = (PAGE / POINTER_BYTES) as u32 + 1;
/// SQLite locks bytes of this page, and writes nothing there.
const LOCK_PAGE: u32 = 0x4000_0000 / PAGE as u32 + 1;
const FREE_PER_TRUNK: u32 = (PAGE / 4 - 2) as u32;
/// A tree of 2^31 rows is less deep.
const DEPTH_MAX: usize = 32;

/// How sure it is that a page's rows are in the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// They are.
    Used,
    /// They may be, or have been deleted.
    Unknown,
    /// They were deleted.
    Free,
}

/// The keys below a page: above the first, and up to the second where that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Keys(pub(super) i64, pub(super) Option<i64>);

impl Keys {
    fn contain(self, key: i64) -> bool {
        key > self.0 && self.1.is_none_or(|last| key <= last)
    }
}

/// A page that should be a leaf of a table and can't be read as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lost {
    /// Of the table, if it is known which.
    pub(super) root: Option<u32>,
    pub(super) keys: Option<Keys>,
}

/// What the file says of its pages.
pub(super) struct Trees {
    /// The root above each page that was reached from one; 0 for the others.
    reached: Vec<u32>,
    /// The page above each page, and whether it is used or free, by the pointer map.
    map: Vec<Pointer>,
    /// The pages that the map calls a parent.
    parents: HashSet<u32>,
    listed_free: Vec<bool>,
    /// The list of free pages is whole.
    list_is_whole: bool,
    pub(super) lost: Vec<Lost>,
}

/// An entry of the pointer map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pointer {
    Root,
    Free,
    Overflow,
    Child(u32),
    Invalid,
}

impl Trees {
    pub(super) fn read(image: &Image) -> Result<Self> {
        let pages = image.pages() as usize;
        let mut trees = Self {
            reached: vec![0; pages + 1],
            map: vec![Pointer::Invalid; pages + 1],
            parents: HashSet::new(),
            listed_free: vec![false; pages + 1],
            list_is_whole: false,
            lost: Vec::new(),
        };
        trees.read_map(image)?;
        trees.list_is_whole = trees.read_free_list(image)?;
        for root in TABLES {
            trees.walk(root, image)?;
        }
        trees.find_orphans_lost(image)?;
        Ok(trees)
    }

    /// Pages that may hold rows, in the order of the file.
    pub(super) fn pages(&self) -> impl Iterator<Item = u32> {
        let count = u32::try_from(self.map.len()).unwrap_or(u32::MAX);
        (META..count).filter(|page| !is_map(*page) && *page != LOCK_PAGE)
    }

    pub(super) fn standing(&self, page: u32) -> Standing {
        let index = page as usize;
        let (pointer, listed) = (self.map[index], self.listed_free[index]);
        let used = self.was_reached(page) || self.is_mapped(page) || (self.list_is_whole && !listed);
        match (used, listed || pointer == Pointer::Free) {
            (true, false) => Standing::Used,
            (false, true) => Standing::Free,
            _ => Standing::Unknown,
        }
    }

    /// The root of the tree that a page belongs to, if it can be told.
    pub(super) fn root_of(&self, page: u32) -> Option<u32> {
        let mut page = page;
        for _ in 0..DEPTH_MAX {
            if self.was_reached(page) {
                return Some(self.reached[page as usize]);
            }
            match self.map.get(page as usize)? {
                Pointer::Root => return Some(page),
                Pointer::Child(parent) => page = *parent,
                _ => return None,
            }
        }
        None
    }

    /// Whether the pointer map says that a page belongs to a tree.
    fn is_mapped(&self, page: u32) -> bool {
        matches!(self.map.get(page as usize), Some(Pointer::Root | Pointer::Child(_)))
    }

    /// Whether a page is a leaf of a tree by the pointer map: on one with pages below it old rows can be left.
    pub(super) fn is_mapped_leaf(&self, page: u32) -> bool {
        self.is_mapped(page) && !self.parents.contains(&page)
    }

    fn was_reached(&self, page: u32) -> bool {
        self.reached.get(page as usize).is_some_and(|root| *root > 0)
    }

    fn read_map(&mut self, image: &Image) -> Result<()> {
        for map in (2..=image.pages()).step_by(MAP_STRIDE as usize) {
            let Some(page) = image.page(if map == LOCK_PAGE { map + 1 } else { map })? else { continue };
            let entries = page.chunks_exact(POINTER_BYTES);
            for (number, entry) in (map + 1..=image.pages()).zip(entries) {
                let parent = number_at(entry, 1);
                let is_page = (1..=image.pages()).contains(&parent) && parent != number;
                self.map[number as usize] = match entry[0] {
                    1 if parent == 0 => Pointer::Root,
                    2 if parent == 0 => Pointer::Free,
                    3 | 4 if is_page => Pointer::Overflow,
                    5 if is_page => Pointer::Child(parent),
                    _ => Pointer::Invalid,
                };
                if let Pointer::Child(parent) = self.map[number as usize] {
                    self.parents.insert(parent);
                }
            }
        }
        Ok(())
    }

    /// Whether the list has an end, and as many pages as the header says.
    fn read_free_list(&mut self, image: &Image) -> Result<bool> {
        let Some(first) = image.page(1)?.filter(|page| has_header(page)) else { return Ok(false) };
        let (mut trunk, expected, mut count) = (number_at(&*first, 32), number_at(&*first, 36), 0_u32);
        while trunk != 0 && count <= expected {
            let Some(page) = image.page(trunk)? else { return Ok(false) };
            let leaves = number_at(&*page, 4);
            if leaves > FREE_PER_TRUNK {
                return Ok(false);
            }
            let free = (0..leaves as usize).map(|leaf| number_at(&*page, 8 + 4 * leaf));
            for number in free.chain([trunk]) {
                match self.listed_free.get_mut(number as usize) {
                    Some(listed) if number >= META && !*listed => *listed = true,
                    // Twice, or no page: it is no list.
                    _ => return Ok(false),
                }
            }
            count += leaves + 1;
            trunk = number_at(&*page, 0);
        }
        Ok(trunk == 0 && count == expected)
    }

    fn walk(&mut self, root: u32, image: &Image) -> Result<()> {
        let mut to_visit = vec![(root, Keys(i64::MIN, None))];
        while let Some((number, keys)) = to_visit.pop() {
            let is_index = root == META;
            let node = match image.page(number)? {
                Some(page) if !is_map(number) => Node::of(page),
                _ => None,
            };
            let node = node.filter(|node| {
                is_index == matches!(node.kind, Kind::IndexLeaf | Kind::IndexInterior) && !self.was_reached(number)
            });
            let Some(node) = node else {
                // A lost page above others has no rows itself; theirs are found without it.
                if !self.parents.contains(&number) && !is_index {
                    self.lost.push(Lost { root: Some(root), keys: Some(keys) });
                }
                continue;
            };
            if node.kind == Kind::Leaf && !is_of(&node, keys) {
                self.lost.push(Lost { root: Some(root), keys: Some(keys) });
                continue;
            }
            if matches!(node.kind, Kind::Interior | Kind::IndexInterior) {
                let children = node.children();
                if !is_index && !are_ascending(&children, keys) {
                    continue;
                }
                let mut low = keys.0;
                for (child, key) in children {
                    to_visit.push((child, Keys(low, key.or(keys.1))));
                    low = key.unwrap_or(low);
                }
            }
            self.reached[number as usize] = root;
        }
        Ok(())
    }

    /// Pages of trees that were not reached and can't be read: how many keys were on them is unknown.
    fn find_orphans_lost(&mut self, image: &Image) -> Result<()> {
        for number in META..=image.pages() {
            // The roots have been walked, and what lies below a page that was reached has been found lost there.
            let is_below_reached = |pointer| matches!(pointer, Pointer::Child(parent) if self.was_reached(parent));
            let is_known = TABLES.contains(&number) || is_below_reached(self.map[number as usize]);
            if !self.is_mapped(number) || is_known || self.was_reached(number) || self.parents.contains(&number) {
                continue;
            }
            let root = self.root_of(number);
            let holds_rows = root.is_none_or(|root| TABLES.contains(&root) && root != META);
            if holds_rows && image.page(number)?.and_then(Node::of).is_none() {
                self.lost.push(Lost { root, keys: None });
            }
        }
        Ok(())
    }
}

/// Whether a leaf has keys that the page above it announces: it may be another one's.
fn is_of(node: &Node, keys: Keys) -> bool {
    node.cells() == 0 || (0..node.cells()).any(|cell| node.key(cell).is_some_and(|key| keys.contain(key)))
}

fn is_map(page: u32) -> bool {
    page >= 2 && (page - 2).is_multiple_of(MAP_STRIDE)
}

fn are_ascending(children: &[(u32, Option<i64>)], keys: Keys) -> bool {
    let (last, others) = children.split_last().unwrap_or((&(0, None), &[]));
    let named: Option<Vec<i64>> = others.iter().map(|(_, key)| *key).collect();
    named.is_some_and(|named| {
        last.0 != 0 && named.is_sorted_by(|one, next| one < next) && named.iter().all(|key| keys.contain(*key))
    })
}
