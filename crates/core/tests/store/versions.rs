//! Files of every version of the schema, as SQL: this one reads them all, and goes on in them.

use std::time::Duration;

use spillway_core::store::sqlite::{Editor, Options, Reader};
use spillway_core::store::{Row, Store};

use crate::rig::*;

const VERSIONS: [&str; 1] = [include_str!("versions/1.sql")];

/// Longer than any file of a test is old.
const FOR_EVER: Duration = Duration::from_secs(1_000 * 365 * 86_400);

#[test]
fn a_file_of_any_version_is_read_and_goes_on() {
    for (sql, version) in VERSIONS.iter().zip(1..) {
        let (_directory, path) = place();
        rusqlite::Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        let mut rig = Rig::try_open(Options { dedupe: FOR_EVER, ..options(&path) }).unwrap();
        assert!(rig.opening.set_aside.is_none(), "version {version}");
        assert_eq!((seqs(&rig.found), rig.opening.last_seq), (vec![3, 4, 5], 5));
        let (Row::Waiting(later), Row::Started(tried)) = (&rig.found[0], &rig.found[1]) else {
            panic!("version {version}: {:?}", rig.found)
        };
        assert_eq!((&*later.id, later.priority, later.expires_at.is_some()), ("later", 3, true));
        assert_eq!((tried.message.id(), tried.attempts, tried.sent, tried.ambiguous), ("tried", 3, false, false));
        assert_eq!((letters(&rig.found), settled_ids(&rig.found)), (vec!["dead".into()], vec!["delivered".into()]));
        assert!(rig.opening.budget.as_deref().is_some_and(|budget| budget.contains("spent")));
        assert_eq!(rig.opening.departed.len(), 4);
        let loaded = rig.load(&[3, 4, 5]);
        let bodies: Vec<_> = loaded.iter().flatten().map(|record| record.message.body()).collect();
        assert_eq!(bodies, ["{\"text\":\"größer\"}", "{\"text\":\"four\"}", "{\"text\":\"five\"}"]);
        let at = rig.now();
        rig.store.apply(vec![insert(6, at)]);
        rig.settled(1);
        rig.close();
        assert!(Reader::open(&path).unwrap().check().unwrap().ok, "version {version}");
        assert_eq!(Editor::open(&path).unwrap().redrive("dead").unwrap(), 7);
        let rig = Rig::open(&path);
        assert_eq!(seqs(&rig.found), [3, 4, 5, 6, 7]);
        rig.close();
    }
}
