//! One owner at a time: a later claim ends what an earlier one may write.

use spillway_core::error::StoreErrorKind;

use super::medium::{Claimed, Medium};
use crate::fixture::*;

pub fn each_claim_has_a_larger_token(medium: &dyn Medium) {
    let mut last = None;
    for is_closed in [true, false, true] {
        let claimed = Claimed::open(medium);
        assert!(last.is_none_or(|last| last < claimed.opening.token));
        last = Some(claimed.opening.token);
        if is_closed {
            claimed.close();
        } else {
            claimed.crash();
        }
    }
}

pub fn an_owner_that_another_one_has_followed_keeps_nothing_more(medium: &dyn Medium) {
    let mut earlier = Claimed::open(medium);
    let at = earlier.now();
    earlier.apply(inserts(1..=2, at));
    earlier.settled(2);
    medium.let_go();
    let mut later = Claimed::open(medium);
    assert_eq!(seqs(&later.found), [1, 2], "what was told to be kept is the later one's");
    assert!(later.opening.token > earlier.opening.token);
    medium.let_go();
    earlier.apply(vec![deliver(1, at), insert(3, at)]);
    earlier.until(|earlier| earlier.disowned.is_some() && earlier.refused == [3]);
    let error = earlier.disowned.clone().unwrap();
    assert_eq!((kind_of(&error), error.code()), (StoreErrorKind::Locked, "STORE_LOCKED"));
    assert!(earlier.up_to <= 3 && earlier.kept == [1, 2], "only the refused one counts as done");
    let at = later.now();
    later.apply(vec![insert(3, at), depart(2, at)]);
    later.settled(2);
    assert!(later.disowned.is_none());
    // The end of the earlier one changes nothing either.
    earlier.close();
    later.close();
    let claimed = Claimed::open(medium);
    assert_eq!((seqs(&claimed.found), sent(&claimed.found)), (vec![1, 2, 3], vec![2]));
    assert!(settled_ids(&claimed.found).is_empty());
}
