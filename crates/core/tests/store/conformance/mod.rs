//! What every store has to do, whatever it is made of. Each test runs for each [`Medium`]; a new store needs one of its
//! own, and a line at the end of this file.

mod disk_store;
mod file;
mod medium;
mod ownership;
mod shared;

use std::time::Duration;

use spillway_core::clock::Timestamp;
use spillway_core::store::{Change, Departure, Flight, Record, Row, batch_number};

use self::medium::{Claimed, Medium};
use crate::draw::Draw;
use crate::fixture::*;
use crate::model::Model;

const HISTORIES: u64 = 40;
/// Rows that a store tells of at once.
const ROWS_MAX: usize = 512;

fn member(seq: u64, at: Timestamp) -> Departure {
    Departure { seq, attempts: 2, first_attempt_at: at }
}

/// What is told to be kept is there after a crash, and nothing is told before.
fn accepted_is_durable_before_it_is_told(medium: &dyn Medium) {
    let mut claimed = Claimed::open(medium);
    let at = claimed.now();
    claimed.apply(inserts(1..=50, at));
    claimed.settled(50);
    claimed.kept.sort_unstable();
    assert_eq!(claimed.kept, (1..=50).collect::<Vec<_>>());
    claimed.crash();
    assert_eq!(seqs(&Claimed::open(medium).found), (1..=50).collect::<Vec<_>>());
}

/// Numbers count all changes in the order of the calls, and what is found is in the order of acceptance.
fn changes_are_counted_and_messages_found_in_order(medium: &dyn Medium) {
    let mut claimed = Claimed::open(medium);
    let at = claimed.now();
    // Others overtake inserts on their way, so that numbers come in any order.
    claimed.apply(inserts([1, 3], at));
    claimed.apply(vec![depart(3, at), insert(4, at), deliver(3, at), bury(1, at)]);
    claimed.settled(6);
    assert_eq!((claimed.up_to, claimed.kept.clone()), (6, vec![1, 3, 4]));
    claimed.apply(vec![insert(5, at), bury(4, at)]);
    claimed.close();
    let claimed = Claimed::open(medium);
    assert_eq!((seqs(&claimed.found), letters(&claimed.found)), (vec![5], vec!["m-1".into(), "m-4".into()]));
    assert_eq!((settled_ids(&claimed.found), claimed.opening.last_seq), (vec!["m-3".to_owned()], 5));
    let is_message = |row: &Row| matches!(row, Row::Waiting(_) | Row::Started(_));
    assert!(claimed.found.is_sorted_by_key(|row| !is_message(row)), "messages come first");
}

/// A request that has left is known with its places, until it is said to be back or saved as not there.
fn what_was_on_the_wire_is_known(medium: &dyn Medium) {
    let mut claimed = Claimed::open(medium);
    let at = claimed.now();
    claimed.apply(inserts(1..=4, at));
    let batch = batch_number(1, 0);
    let flight = Flight { batch: Some(batch), members: vec![member(1, at), member(2, at)] };
    claimed.apply(vec![Change::Depart(flight.clone()), depart(3, at), Change::Depart(Flight::default())]);
    let back = Change::Return { seq: 3, attempts: 1, first_attempt_at: Some(at), ambiguous: true, batch: None };
    claimed.apply(vec![back]);
    claimed.settled(8);
    claimed.crash();
    let mut claimed = Claimed::open(medium);
    assert_eq!(sent(&claimed.found), [1, 2]);
    let known = |seq: u64, found: &[Row]| {
        found.iter().find_map(|row| match row {
            Row::Started(record) if record.seq == seq => Some((record.attempts, record.ambiguous, record.batch)),
            _ => None,
        })
    };
    assert_eq!(known(1, &claimed.found), Some((2, false, Some(batch))));
    assert_eq!(known(2, &claimed.found), Some((2, false, Some(batch + 1))));
    assert_eq!(known(3, &claimed.found), Some((1, true, None)));
    assert_eq!(known(4, &claimed.found), None);
    assert_eq!(claimed.opening.departed.len(), 3, "requests without messages count, too");
    let at = claimed.now();
    claimed.apply(vec![save("{}", [flight], at)]);
    claimed.settled(1);
    claimed.crash();
    let claimed = Claimed::open(medium);
    assert_eq!((sent(&claimed.found), claimed.opening.departed.len()), (vec![1, 2], 0), "the budget counts them");
}

/// Ids that callers chose are remembered, and letters stay until they are dropped or sent again.
fn receipts_and_letters_are_remembered(medium: &dyn Medium) {
    let claimed = Claimed::open(medium);
    let at = claimed.now();
    claimed.apply(inserts(1..=4, at));
    claimed.apply(vec![deliver(1, at), bury(2, at), bury(3, at)]);
    claimed.apply(vec![Change::DropLetter { id: "m-2".into() }]);
    let again = Record { seq: 5, ..record(3, at) };
    claimed.apply(vec![Change::Redrive { entry_id: 5, record: Box::new(again) }]);
    claimed.close();
    let claimed = Claimed::open(medium);
    assert_eq!((seqs(&claimed.found), letters(&claimed.found)), (vec![4, 5], Vec::<String>::new()));
    let settled = claimed.found.iter().find_map(|row| match row {
        Row::Settled(settled) => Some((&*settled.id, settled.status, settled.attempts)),
        _ => None,
    });
    assert_eq!(settled, Some(("m-1", 202, 1)));
}

/// The last budget is found whole, with when it was saved, and what left after that.
fn the_budget_is_carried_over(medium: &dyn Medium) {
    let mut claimed = Claimed::open(medium);
    assert_eq!((claimed.opening.budget.clone(), claimed.opening.budget_at), (None, None));
    let at = claimed.now();
    claimed.apply(vec![save("{\"spent\":1}", [], at), Change::Depart(Flight::default())]);
    claimed.apply(vec![save("{\"spent\":2}", [], at), Change::Depart(Flight::default())]);
    claimed.settled(4);
    claimed.crash();
    let claimed = Claimed::open(medium);
    assert_eq!(claimed.opening.budget.as_deref(), Some("{\"spent\":2}"));
    // A store's times are whole milliseconds.
    assert!(claimed.opening.budget_at.is_some_and(|at| at <= claimed.now().after(Duration::from_millis(1))));
    assert_eq!(claimed.opening.departed.len(), 1);
}

/// In trouble inserts are refused with its error and all else waits; afterwards it is over before anything is kept.
fn trouble_refuses_inserts_and_nothing_else(medium: &dyn Medium) {
    let mut claimed = Claimed::open(medium);
    let at = claimed.now();
    claimed.apply(inserts(1..=2, at));
    claimed.settled(2);
    medium.break_down();
    claimed.apply(vec![depart(1, at), insert(3, at)]);
    claimed.until(|claimed| claimed.refused == [3]);
    assert_eq!((claimed.troubles, claimed.up_to), (1, 2), "what is accepted waits");
    claimed.apply(vec![deliver(1, at)]);
    claimed.apply(vec![insert(4, at)]);
    claimed.until(|claimed| claimed.refused == [3, 4]);
    medium.recover();
    claimed.settled(6);
    assert_eq!((claimed.troubles, claimed.recoveries, claimed.kept.clone()), (1, 1, vec![1, 2]));
    claimed.apply(vec![insert(5, at)]);
    claimed.settled(7);
    claimed.close();
    let claimed = Claimed::open(medium);
    assert_eq!((seqs(&claimed.found), settled_ids(&claimed.found)), (vec![2, 5], vec!["m-1".to_owned()]));
}

/// Closing makes everything durable that was handed over, and says so last.
fn a_close_keeps_all_and_is_the_last_word(medium: &dyn Medium) {
    let claimed = Claimed::open(medium);
    let at = claimed.now();
    claimed.apply(inserts(1..=2_000, at));
    let (kept, rest) = claimed.close();
    assert_eq!(kept.len(), 2_000);
    assert!(rest.is_empty(), "{rest:?}");
    assert_eq!(seqs(&Claimed::open(medium).found).len(), 2_000);
}

/// What is found comes in bounded parts, and messages that are asked for come in order, whole, after what was written.
fn a_backlog_is_looked_at_in_parts(medium: &dyn Medium) {
    let claimed = Claimed::open(medium);
    let at = claimed.now();
    claimed.apply(inserts(1..=1_300, at));
    claimed.close();
    let mut claimed = Claimed::open(medium);
    assert!(claimed.parts.iter().all(|rows| *rows <= ROWS_MAX), "{:?}", claimed.parts);
    assert!(claimed.found.iter().all(|row| matches!(row, Row::Waiting(waiting) if waiting.bytes == 300)));
    let at = claimed.now();
    claimed.apply(vec![sized_insert(1_301, at), bury(7, at)]);
    let loaded = claimed.load(&[9, 7, 1_301, 9_999]);
    let bodies: Vec<_> =
        loaded.iter().map(|record| record.as_ref().map(|record| record.message.body().len())).collect();
    assert_eq!(bodies, [Some(300), None, Some(9_000), None]);
}

fn sized_insert(seq: u64, at: Timestamp) -> Change {
    Change::Insert { entry_id: u32::try_from(seq).unwrap(), record: Box::new(sized(seq, at, 9_000)) }
}

/// Whatever is done to it, and however its runs end, the next one finds what it should have.
fn any_history_leaves_what_it_should(medium: &dyn Medium, seed: u64) {
    let mut draw = Draw::stream(seed, 0);
    let (mut model, mut next_seq) = (Model::default(), 0);
    for _ in 0..4 {
        let mut claimed = Claimed::open(medium);
        assert_eq!(Model::found(&claimed.found, &claimed.opening), model, "seed {seed}");
        let (at, mut count) = (claimed.now(), 0);
        for _ in 0..draw.range(1, 12) {
            let mut together = Vec::new();
            for _ in 0..draw.range(1, 8) {
                let change = model.draw_change(&mut draw, &mut next_seq, at);
                model.apply(&change);
                together.push(change);
            }
            count += together.len() as u64;
            claimed.apply(together);
        }
        if draw.below(2) == 0 {
            claimed.close();
        } else {
            claimed.settled(count);
            claimed.crash();
        }
    }
}

/// Each test of the contract, for the store that a medium makes.
macro_rules! conforms {
    ($name:ident, $medium:ty) => {
        mod $name {
            use super::*;

            #[test]
            fn accepted_is_durable_before_it_is_told() {
                super::accepted_is_durable_before_it_is_told(&<$medium>::new());
            }

            #[test]
            fn changes_are_counted_and_messages_found_in_order() {
                super::changes_are_counted_and_messages_found_in_order(&<$medium>::new());
            }

            #[test]
            fn what_was_on_the_wire_is_known() {
                super::what_was_on_the_wire_is_known(&<$medium>::new());
            }

            #[test]
            fn receipts_and_letters_are_remembered() {
                super::receipts_and_letters_are_remembered(&<$medium>::new());
            }

            #[test]
            fn the_budget_is_carried_over() {
                super::the_budget_is_carried_over(&<$medium>::new());
            }

            #[test]
            fn trouble_refuses_inserts_and_nothing_else() {
                super::trouble_refuses_inserts_and_nothing_else(&<$medium>::new());
            }

            #[test]
            fn a_close_keeps_all_and_is_the_last_word() {
                super::a_close_keeps_all_and_is_the_last_word(&<$medium>::new());
            }

            #[test]
            fn a_backlog_is_looked_at_in_parts() {
                super::a_backlog_is_looked_at_in_parts(&<$medium>::new());
            }

            #[test]
            fn any_history_leaves_what_it_should() {
                (0..HISTORIES).for_each(|seed| super::any_history_leaves_what_it_should(&<$medium>::new(), seed));
            }

            #[test]
            fn each_claim_has_a_larger_token() {
                ownership::each_claim_has_a_larger_token(&<$medium>::new());
            }

            #[test]
            fn an_owner_that_another_one_has_followed_keeps_nothing_more() {
                ownership::an_owner_that_another_one_has_followed_keeps_nothing_more(&<$medium>::new());
            }
        }
    };
}

conforms!(in_a_file, file::File);
conforms!(in_a_file_of_several, shared::Shared);
conforms!(on_a_simulated_disk, disk_store::SimulatedDisk);
