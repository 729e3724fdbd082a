use std::num::NonZeroU32;

use super::*;
use crate::lease::FailureKind;

fn conversation(number: usize) -> Scope {
    Scope::Conversation(format!("c{number}").into())
}

#[test]
fn however_long_the_store_is_away_pauses_take_no_more_room_than_it_has() {
    let mut member = Membership::new(&mut Random::from_seed(1));
    for _ in 0..3 {
        (0..1_000).for_each(|number| member.report_pause(conversation(number), Duration::from_secs(1)));
    }
    assert_eq!(member.reports.len(), REPORTS_MAX);
    member.report_pause(Scope::Organization, Duration::from_secs(1));
    member.report_pause(Scope::Organization, Duration::from_secs(2));
    let organization: Vec<_> = member.reports.iter().filter(|report| *report.scope() == Scope::Organization).collect();
    assert_eq!(organization, [&PauseReport::Paused(Scope::Organization, Duration::from_secs(2))], "the last one, once");
}

#[test]
fn what_is_over_is_told_instead_of_its_beginning() {
    let mut member = Membership::new(&mut Random::from_seed(1));
    member.report_pause(conversation(1), Duration::from_secs(1));
    member.report_resumed(conversation(1));
    assert_eq!(member.reports, [PauseReport::Resumed(conversation(1), NEWEST)]);
}

#[test]
fn who_has_given_everything_back_asks_at_once_when_something_comes() {
    let mut member = Membership::new(&mut Random::from_seed(1));
    let second = Duration::from_secs(1);
    let window = |need| WindowReport { per: second, requests: NonZeroU32::MIN, held: 0, need, back: Vec::new() };
    let holding = Holding { lacks_slots: true, ..Holding::default() };
    let condition = Condition { has_demand: true, is_busy: false, is_live: true, requests: 0, holding };
    let mut is_asked_at_once_after = |need| {
        let now = Timestamp::START;
        member.send(now, false, CADENCE_MIN, (1, 0), || (1, vec![window(need)]));
        let number = member.number;
        let grant = Grant {
            number,
            epoch: Epoch(1),
            version: number,
            clock: Duration::ZERO,
            lease: LeaseId(1),
            lasts: 3 * second,
            windows: Vec::new(),
            is_short: false,
            forgetting: None,
            hosts: 1,
            differs: false,
            pauses: Vec::new(),
        };
        member.heard(now, &grant);
        member.plan(now, grant.lasts, CADENCE_MIN, holding);
        member.due_at(now, condition) == Some(now)
    };
    assert!(is_asked_at_once_after(0), "it needed nothing");
    assert!(!is_asked_at_once_after(1), "there was nothing for it");
}

#[test]
fn who_has_told_of_an_outage_asks_until_it_is_over_though_nothing_waits() {
    let mut random = Random::from_seed(1);
    let mut member = Membership::new(&mut random);
    let (now, holding) = (Timestamp::START, Holding::default());
    let idle = Condition { has_demand: false, is_busy: false, is_live: false, requests: 0, holding };
    member.send(now, false, CADENCE_MIN, (1, 0), || (1, Vec::new()));
    let failure = Failure { kind: FailureKind::Unreachable, problem: "refused".to_owned(), may_have_run: false };
    member.failed(now, failure, &mut random);
    assert_eq!(member.due_at(now, idle), None, "nobody needs a lease");
    member.tell_outage(true);
    assert_eq!(member.due_at(now, idle), member.again_at());
    assert!(member.again_at().is_some());
}
