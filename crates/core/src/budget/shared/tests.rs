use std::num::NonZeroU32;

use super::*;
use crate::lease::{Epoch, LeaseId, WindowGrant};

const SECOND: Duration = Duration::from_secs(1);

fn at_ms(ms: u64) -> Timestamp {
    Timestamp::from_micros(ms * 1_000)
}

fn rate(requests: u32) -> Rate {
    let requests = NonZeroU32::new(requests).unwrap();
    Rate { requests, per: SECOND, burst: requests }
}

fn share() -> Share {
    Share::new(&[rate(10)], WhenUnreachable::Hold, at_ms(0))
}

fn grant(share: u32, target: u32, fresh: &[(u64, u32)]) -> Grant {
    let fresh = fresh.iter().map(|(ms, slots)| Rest { span: Duration::from_millis(*ms), slots: *slots }).collect();
    Grant {
        number: 1,
        epoch: Epoch(1),
        version: 1,
        clock: Duration::ZERO,
        lease: LeaseId(1),
        lasts: Duration::from_secs(3),
        windows: vec![WindowGrant { per: SECOND, requests: 10, share, target, has_turn: false, fresh }],
        is_short: false,
        forgetting: None,
        hosts: 1,
        differs: false,
        pauses: Vec::new(),
    }
}

const BUSY: Demand = Demand::Some { waiting: 3, is_held_back: true, others_lack: false, ends_turn: false };
const CROWDED: Demand = Demand::Some { waiting: 3, is_held_back: true, others_lack: true, ends_turn: false };

#[test]
fn nothing_leaves_without_a_lease_or_after_it() {
    let mut share = share();
    assert_eq!(share.check(at_ms(0), 1), Err(NotYet::AtGrant));
    share.granted(at_ms(20), at_ms(0), &grant(2, 2, &[(0, 2)]));
    assert_eq!(share.check(at_ms(20), 1), Ok(()));
    share.take(at_ms(20), 1);
    assert!(share.may_leave(at_ms(2_999)), "the lease counts from before the renewal was sent");
    assert!(!share.may_leave(at_ms(3_000)));
    assert_eq!(share.check(at_ms(3_000), 1), Err(NotYet::AtGrant));
}

#[test]
fn a_slot_that_comes_with_a_rest_rests_from_when_it_comes() {
    let mut share = share();
    share.granted(at_ms(100), at_ms(0), &grant(1, 1, &[(400, 1)]));
    assert_eq!(share.check(at_ms(100), 1), Err(NotYet::Until(at_ms(500))));
    assert_eq!(share.check(at_ms(500), 1), Ok(()));
}

#[test]
fn what_is_on_the_wire_and_what_cools_has_its_slot() {
    let mut share = share();
    share.granted(at_ms(0), at_ms(0), &grant(2, 2, &[(0, 2)]));
    share.take(at_ms(0), 1);
    share.take(at_ms(0), 1);
    assert_eq!(share.check(at_ms(0), 1), Err(NotYet::AtAnswer));
    share.answered(at_ms(50), 1);
    assert_eq!(share.check(at_ms(60), 1), Err(NotYet::Until(at_ms(1_050).after(GUARD))));
    assert_eq!(share.next_free(at_ms(60)), Some(at_ms(1_050).after(GUARD)));
    share.release(1);
    assert_eq!(share.check(at_ms(60), 1), Ok(()));
}

#[test]
fn what_is_too_much_goes_back_with_its_rest_and_is_gone_at_once() {
    let mut share = share();
    share.granted(at_ms(0), at_ms(0), &grant(6, 6, &[(0, 6)]));
    for _ in 0..4 {
        share.take(at_ms(0), 1);
    }
    share.answered(at_ms(0), 1);
    share.answered(at_ms(100), 1);
    share.granted(at_ms(200), at_ms(200), &grant(6, 2, &[]));
    assert!(share.holding().has_surplus);
    let report = share.report(at_ms(500), CROWDED);
    let rests = [(0, 2), (501, 1), (601, 1)].map(|(ms, slots)| Rest { span: Duration::from_millis(ms), slots });
    assert_eq!((report[0].held, &report[0].back[..]), (6, &rests[..]));
    let Holding { share: own, target, has_surplus, .. } = share.holding();
    assert_eq!((own, target, has_surplus), (2, 2, false));
    assert_eq!(share.available(at_ms(500)), 0, "two are on the wire");
}

#[test]
fn nothing_goes_back_while_nobody_lacks_anything() {
    let mut share = share();
    share.granted(at_ms(0), at_ms(0), &grant(6, 2, &[(0, 6)]));
    let report = share.report(at_ms(0), BUSY);
    assert_eq!((report[0].need, report[0].back.len()), (4, 0));
    assert_eq!(share.report(at_ms(0), Demand::None)[0].back.len(), 1, "a host that has nothing to send keeps nothing");
}

#[test]
fn who_leaves_gives_everything_back_and_what_is_on_the_wire_as_if_it_arrived_late() {
    let mut share = share();
    share.granted(at_ms(0), at_ms(0), &grant(5, 5, &[(0, 5)]));
    for _ in 0..3 {
        share.take(at_ms(0), 1);
    }
    share.answered(at_ms(100), 1);
    let report = share.report(at_ms(500), Demand::Leaving);
    let late = Rest { span: LATENESS + SECOND + GUARD, slots: 2 };
    let rests = [Rest { span: Duration::ZERO, slots: 2 }, Rest { span: Duration::from_millis(601), slots: 1 }, late];
    assert_eq!((report[0].need, &report[0].back[..]), (0, &rests[..]));
    assert!(!share.holding().has_slots);
    assert_eq!(share.check(at_ms(5_000), 1), Err(NotYet::AtGrant));
}

#[test]
fn what_was_made_under_a_lease_that_was_lost_does_not_leave_under_the_next_one() {
    let mut share = share();
    share.granted(at_ms(0), at_ms(0), &grant(5, 5, &[(0, 5)]));
    for _ in 0..3 {
        share.take(at_ms(0), 1);
    }
    share.granted(at_ms(60_000), at_ms(60_000), &grant(2, 5, &[(0, 2)]));
    assert!(!share.may_leave(at_ms(60_000)), "three were made, and two have slots");
    share.release(1);
    assert!(share.may_leave(at_ms(60_000)));
    assert_eq!(share.check(at_ms(60_000), 1), Err(NotYet::AtAnswer));
}

#[test]
fn adrift_a_host_has_what_is_its_own() {
    let mut share = Share::new(&[rate(10)], WhenUnreachable::Static(rate(2)), at_ms(0));
    assert_eq!(share.check(at_ms(0), 1), Err(NotYet::AtGrant));
    share.set_adrift(true);
    assert_eq!(share.check(at_ms(0), 1), Ok(()));
    share.take(at_ms(0), 1);
    share.take(at_ms(0), 1);
    assert!(share.may_leave(at_ms(0)));
    assert_eq!(share.check(at_ms(0), 1), Err(NotYet::AtAnswer));
    share.answered(at_ms(10), 2);
    share.set_adrift(false);
    share.granted(at_ms(500), at_ms(500), &grant(3, 3, &[(0, 3)]));
    assert_eq!(share.available(at_ms(500)), 1, "what it has sent by itself counts");
}

#[test]
fn what_went_at_one_rate_is_no_debt_of_the_other() {
    let mut share = Share::new(&[rate(10)], WhenUnreachable::Static(rate(2)), at_ms(0));
    let send = |share: &mut Share, at: Timestamp| {
        assert_eq!(share.check(at, 1), Ok(()), "at {at:?}");
        share.take(at, 1);
        share.answered(at, 1);
    };
    // 30 seconds under leases, at a rate that is five times the own.
    for second in 0..30 {
        share.granted(at_ms(second * 1_001), at_ms(second * 1_001), &grant(10, 10, &[(0, 10)]));
        (0..10).for_each(|_| send(&mut share, at_ms(second * 1_001)));
    }
    // A minute by itself: at once when the lease is over, and two per second.
    share.set_adrift(true);
    let over = 29 * 1_001 + 3_000;
    for second in 0..60 {
        (0..2).for_each(|_| send(&mut share, at_ms(over + second * 1_001)));
    }
    // Under a lease again, all of the share.
    share.set_adrift(false);
    let back = over + 60 * 1_001;
    share.granted(at_ms(back), at_ms(back), &grant(10, 10, &[(0, 10)]));
    (0..10).for_each(|_| send(&mut share, at_ms(back)));
}
