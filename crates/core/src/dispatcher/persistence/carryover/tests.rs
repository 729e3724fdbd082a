use std::num::NonZeroU32;
use std::sync::Arc;

use super::*;
use crate::budget::Heard;
use crate::dispatcher::Step;
use crate::dispatcher::health::{Failure, Fingerprint, MessageRefusal, RouteId, Sent};
use crate::dispatcher::schedule::attempts::{Attempt, Departure};
use crate::dispatcher::schedule::batch::Batch;
use crate::outcome::Response;
use crate::random::Random;
use crate::settings::{Rate, Settings};
use crate::token::{TokenId, TokenSet};

fn at_ms(ms: u64) -> Timestamp {
    Timestamp::from_micros(ms * 1_000)
}

fn rate(requests: u32, per_ms: u64) -> Rate {
    let requests = NonZeroU32::new(requests).unwrap();
    Rate { requests, per: Duration::from_millis(per_ms), burst: requests }
}

fn dispatcher(requests: u32, now_ms: u64) -> Dispatcher {
    let settings = format!(
        r#"{{
            "organization": "saved", "apiUrl": "http://127.0.0.1:1", "credentials": {{ "accessToken": "token" }},
            "route": "messaging", "store": "file:saved.db", "rateLimit": {{ "requests": {requests}, "perMs": 1000 }},
            "connections": {{ "max": 1, "requestTimeoutMs": 10000 }}
        }}"#
    );
    Dispatcher::new(Arc::new(Settings::from_json(&settings).unwrap()), Random::from_seed(1), at_ms(now_ms))
}

/// Makes a request of one message; it leaves, if it does, at this time.
fn begin(dispatcher: &mut Dispatcher, left_ms: Option<u64>) {
    dispatcher.quota.reserve(at_ms(0), TokenId::FIRST, 1);
    let id = dispatcher.attempts.number();
    let attempt =
        Attempt { batch: Batch::of_one(0), route: RouteId::MESSAGES, token: TokenId::FIRST, cost: 1, bytes: 0 };
    dispatcher.attempts.begin(id, attempt);
    if let Some(ms) = left_ms {
        dispatcher
            .attempts
            .leave(id, Departure { at: at_ms(ms), generation: 1, is_token_fresh: false, token_granted_at: None });
    }
}

/// What is available at once, and after a time, to a run that begins at `now_ms` with one request a second and this.
fn available(opening: &Opening, now_ms: u64, later_ms: u64) -> (u32, u32) {
    let mut dispatcher = dispatcher(1, now_ms);
    dispatcher.restore(&mut Step { now: at_ms(now_ms), effects: &mut Vec::new() }, opening);
    (dispatcher.quota.available(at_ms(now_ms)), dispatcher.quota.available(at_ms(now_ms + later_ms)))
}

#[test]
fn what_was_about_to_leave_may_have_done_so_until_the_next_run_began() {
    let departed = Opening { departed: vec![at_ms(20)], ..Opening::default() };
    let saved =
        Opening { budget: Some(r#"{ "underWay": 1 }"#.into()), budget_at: Some(at_ms(20)), ..Opening::default() };
    for opening in [departed, saved] {
        for began_ms in [30, 9_000, 3_600_000] {
            assert_eq!(available(&opening, began_ms, 1_990), (0, 0), "a second to arrive, and the window");
            assert_eq!(available(&opening, began_ms, 2_010), (0, 1));
        }
    }
}

#[test]
fn an_answer_that_came_holds_its_slot_from_then() {
    let saved = Opening {
        budget: Some(r#"{ "spent": [[-100, 1]] }"#.into()),
        budget_at: Some(at_ms(5_000)),
        ..Opening::default()
    };
    assert_eq!(available(&saved, 5_500, 410), (0, 1));
}

#[test]
fn the_next_engine_counts_what_has_left_and_nothing_that_has_not() {
    let mut dispatcher = dispatcher(10, 0);
    begin(&mut dispatcher, Some(5_000));
    begin(&mut dispatcher, Some(9_500));
    begin(&mut dispatcher, None);
    assert_eq!(dispatcher.carryover(at_ms(10_000)).spent, [at_ms(10_000), at_ms(10_500)], "a second after it left");
    assert!(dispatcher.carryover(at_ms(10_000)).until() >= at_ms(11_500));
    let checkpoint = dispatcher.checkpoint(at_ms(10_000));
    assert_eq!((checkpoint.spent.len(), checkpoint.under_way), (0, 3), "whatever may leave before a crash");
    let json = Saved::of(&checkpoint, at_ms(10_000)).to_json();
    let read = Saved::from_json(Some(&json)).carryover(at_ms(10_000), at_ms(10_000), Duration::ZERO);
    assert_eq!(read.ended_before(at_ms(12_000)).spent, [at_ms(13_000); 3]);
}

#[test]
fn what_may_still_arrive_is_kept_to_its_later_millisecond() {
    let spent = vec![Timestamp::from_micros(1_500), Timestamp::from_micros(64_500)];
    let (belief, until) = (Belief::default(), at_ms(0));
    let pauses = Bequest::default();
    let standstill = Vec::new();
    let carryover =
        Carryover { spent, under_way: 0, belief, tokens: Vec::new(), pauses, standstill, hold: None, until };
    let json = Saved::of(&carryover, at_ms(64)).to_json();
    let read = Saved::from_json(Some(&json)).carryover(at_ms(64), at_ms(64), Duration::ZERO);
    assert_eq!(read.spent, [at_ms(2), at_ms(65)]);
}

#[test]
fn messages_do_not_age_while_an_earlier_run_held_them_back_nor_between_runs() {
    let mut first = dispatcher(1, 0);
    first.health.note_standstill(at_ms(0), false);
    first.health.note_standstill(at_ms(10_000), true);
    first.health.note_standstill(at_ms(20_000), false);
    first.health.note_standstill(at_ms(30_000), true);
    let budget = Saved::of(&first.checkpoint(at_ms(40_000)), at_ms(40_000)).to_json();
    let opening = Opening { budget: Some(budget), budget_at: Some(at_ms(40_000)), ..Opening::default() };
    let mut second = dispatcher(1, 100_000);
    second.restore(&mut Step { now: at_ms(100_000), effects: &mut Vec::new() }, &opening);
    let age = |since_ms, now_ms| second.health.age(at_ms(since_ms), at_ms(now_ms)).as_secs();
    assert_eq!((age(5_000, 100_000), age(5_000, 110_000), age(100_000, 110_000)), (15, 25, 10));

    let mut bare = dispatcher(1, 100_000);
    bare.restore(&mut Step { now: at_ms(100_000), effects: &mut Vec::new() }, &Opening::default());
    assert_eq!(bare.health.age(at_ms(5_000), at_ms(100_000)).as_secs(), 95, "nothing is known");
}

/// Each restart would give up as many messages again to find the outage that the last run had found.
#[test]
fn an_outage_of_the_last_run_is_asked_about_before_a_message_is_risked() {
    for (unknown, asks_first) in [(3, false), (4, true)] {
        let mut first = dispatcher(1, 0);
        first.health.be_cautious();
        (0..unknown).for_each(|_| first.health.note_unknown(at_ms(0)));
        let budget = Saved::of(&first.checkpoint(at_ms(5_000)), at_ms(5_000)).to_json();
        let opening = Opening { budget: Some(budget), budget_at: Some(at_ms(5_000)), ..Opening::default() };
        let mut second = dispatcher(1, 9_000);
        second.health.be_cautious();
        second.restore(&mut Step { now: at_ms(9_000), effects: &mut Vec::new() }, &opening);
        assert_eq!((second.health.has_to_sound(), second.health.holds_messages()), (asks_first, asks_first));
        let mut careless = dispatcher(1, 9_000);
        careless.restore(&mut Step { now: at_ms(9_000), effects: &mut Vec::new() }, &opening);
        assert!(!careless.health.holds_messages(), "with 'retry' no outcome costs a message");
    }
}

/// Whoever asks after a restart is told what the last run had found, and since when.
#[test]
fn the_next_run_shows_the_outage_that_the_last_one_found() {
    for found in [Found::Route, Found::Organization, Found::Refusals] {
        let mut first = dispatcher(1, 0);
        first.health.be_cautious();
        (0..4).for_each(|_| first.health.note_unknown(at_ms(0)));
        found.by(&mut first, at_ms(1_000));
        let shown = |dispatcher: &Dispatcher, now_ms| {
            let snapshot = dispatcher.snapshot(at_ms(now_ms));
            let outage = snapshot.outage.unwrap();
            (outage.reason, outage.since, snapshot.outage_problem, snapshot.refusals)
        };
        let of_first = shown(&first, 1_000);
        assert!(of_first.2.is_some());

        let mut effects = Vec::new();
        first.save(&mut Step { now: at_ms(1_000), effects: &mut effects });
        let Some(Effect::Store(Change::Save { budget, .. })) = effects.pop() else { panic!("saved at once") };
        let opening = Opening { budget: Some(budget), budget_at: Some(at_ms(1_000)), ..Opening::default() };
        let next_process = |dispatcher: &mut Dispatcher| {
            dispatcher.restore(&mut Step { now: at_ms(70_000), effects: &mut Vec::new() }, &opening);
        };
        let next_engine =
            |dispatcher: &mut Dispatcher| dispatcher.inherit(at_ms(70_000), first.carryover(at_ms(2_000)));
        let successions: [&dyn Fn(&mut Dispatcher); 2] = [&next_process, &next_engine];
        for succeed in successions {
            let mut second = dispatcher(1, 70_000);
            second.health.be_cautious();
            succeed(&mut second);
            assert_eq!(shown(&second, 70_000), of_first, "{found:?}");
            assert_eq!(second.snapshot(at_ms(70_000)).outages.len(), 1);
            assert_eq!(second.snapshot(at_ms(70_000)).outages[0].route.is_none(), found == Found::Organization);

            let sent = Sent { attempt: 1, route: RouteId::MESSAGES, token: TokenId::FIRST, left_at: at_ms(70_001) };
            second.health.sounds(at_ms(70_001), sent.attempt, sent.token);
            let effects = &mut Vec::new();
            second.health.passed(&mut Step { now: at_ms(70_100), effects }, sent);
            let over = second.snapshot(at_ms(70_100));
            assert_eq!((over.outage, over.outage_problem, over.refusals), (None, None, None), "{found:?}");
            assert!(effects.is_empty(), "nobody was told that it begins");
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Route,
    Organization,
    Refusals,
}

impl Found {
    /// Has the dispatcher find it.
    fn by(self, dispatcher: &mut Dispatcher, now: Timestamp) {
        let (step, random) = (&mut Step { now, effects: &mut Vec::new() }, &mut Random::from_seed(1));
        let sent = |attempt| Sent { attempt, route: RouteId::MESSAGES, token: TokenId::FIRST, left_at: at_ms(0) };
        let health = &mut dispatcher.health;
        match self {
            Self::Route => {
                health.failed(step, sent(1), Failure::Answered { retry_after: None }, || "status 502".into(), random);
            }
            Self::Organization => (1..=10).for_each(|attempt| {
                health.failed(step, sent(attempt), Failure::Unsent, || "connection refused".into(), random);
            }),
            Self::Refusals => ["a", "b", "c"].iter().zip(1..).for_each(|(conversation, attempt)| {
                let response = Response { status: 403, ..Response::default() };
                let refusal = MessageRefusal {
                    fingerprint: Fingerprint::of(&response).unwrap(),
                    conversations: vec![Arc::from(*conversation)],
                    correlation_id: Some("id-7".to_owned()),
                    retry_after: Duration::ZERO,
                };
                health.refused(step, sent(attempt), &refusal, random);
            }),
        }
    }
}

#[test]
fn a_budget_begins_with_what_its_predecessor_spent() {
    let mut first = Quota::new(&[rate(3, 100), rate(10, 1_000)], at_ms(0));
    for _ in 0..3 {
        first.check(at_ms(0), TokenSet::FIRST, 1).unwrap();
        first.reserve(at_ms(0), TokenId::FIRST, 1);
        first.left(at_ms(0), TokenId::FIRST, 1);
    }
    for at in [20, 50] {
        let heard = Heard { sent_at: at_ms(0), cost: 1, refused: false, evidence: None };
        first.heard(at_ms(at), TokenId::FIRST, heard);
    }
    let spent = first.spent(at_ms(60));
    assert_eq!(spent, [at_ms(20), at_ms(50)], "the third has no answer yet");
    // It is cut when its engine ends.
    let spent = [spent, vec![at_ms(60)]].concat();

    let mut second = Quota::new(&[rate(3, 100)], at_ms(70));
    second.inherit(at_ms(70), &spent);
    assert_eq!(second.available(at_ms(70)), 0);
    assert_eq!(second.available(at_ms(121)), 1);
    assert_eq!(second.available(at_ms(151)), 2);
    assert_eq!(second.available(at_ms(161)), 3);

    let mut smaller = Quota::new(&[rate(1, 100)], at_ms(130));
    smaller.inherit(at_ms(130), &spent);
    assert!(smaller.check(at_ms(152), TokenSet::FIRST, 1).is_err(), "one of two is cool, and one is allowed");
    assert!(smaller.check(at_ms(161), TokenSet::FIRST, 1).is_ok());
}

/// With these clients, in their order.
fn dispatcher_of(clients: &[&str], now_ms: u64) -> Dispatcher {
    let clients = clients.iter().map(|id| format!(r#"{{ "clientId": "{id}", "clientSecret": "secret" }}"#));
    let credentials = clients.collect::<Vec<_>>().join(", ");
    let settings = format!(
        r#"{{
            "organization": "saved", "apiUrl": "http://127.0.0.1:1", "credentials": [{credentials}],
            "route": "messaging", "store": "file:saved.db", "rateLimit": {{ "requests": 10, "perMs": 60000 }},
            "organizationLimit": {{ "requests": 15, "perMs": 60000 }}
        }}"#
    );
    Dispatcher::new(Arc::new(Settings::from_json(&settings).unwrap()), Random::from_seed(1), at_ms(now_ms))
}

/// What is available to each client and to all, to a run that begins with this.
fn available_to(mut dispatcher: Dispatcher, opening: &Opening, now_ms: u64) -> (Vec<u32>, u32) {
    dispatcher.restore(&mut Step { now: at_ms(now_ms), effects: &mut Vec::new() }, opening);
    let now = at_ms(now_ms);
    let each = dispatcher.auths.all().map(|token| dispatcher.quota.available_to(now, token)).collect();
    (each, dispatcher.quota.available(now))
}

#[test]
fn what_each_of_several_clients_has_spent_stays_its_own_whatever_their_order() {
    let mut first = dispatcher_of(&["a", "b"], 0);
    let heard = Heard { sent_at: at_ms(0), cost: 1, refused: false, evidence: None };
    let [a, b] = [0, 1].map(|index| TokenId::all(2).nth(index).unwrap());
    for (token, count) in [(a, 4), (b, 2)] {
        for _ in 0..count {
            first.quota.reserve(at_ms(0), token, 1);
            first.quota.heard(at_ms(10), token, heard);
        }
    }
    let budget = Saved::of(&first.checkpoint(at_ms(1_000)), at_ms(1_000)).to_json();
    assert!(!budget.contains("secret"), "{budget}");
    let opening = |departed: usize| Opening {
        budget: Some(budget.clone()),
        budget_at: Some(at_ms(1_000)),
        departed: vec![at_ms(1_500); departed],
        ..Opening::default()
    };
    assert_eq!(available_to(dispatcher_of(&["a", "b"], 2_000), &opening(0), 2_000), (vec![6, 8], 9));
    assert_eq!(available_to(dispatcher_of(&["b", "a"], 2_000), &opening(0), 2_000), (vec![8, 6], 9));
    assert_eq!(available_to(dispatcher_of(&["b", "c"], 2_000), &opening(0), 2_000), (vec![8, 9], 9));
    assert_eq!(available_to(dispatcher_of(&["a", "b"], 2_000), &opening(1), 2_000), (vec![5, 7], 8), "with either");
    assert_eq!(
        available_to(dispatcher_of(&["a"], 2_000), &opening(0), 2_000),
        (vec![4], 4),
        "a single one takes all for its own"
    );
}

#[test]
fn what_a_single_token_has_spent_counts_for_each_of_several() {
    let saved = Opening {
        budget: Some(r#"{ "spent": [[-100, 3]] }"#.into()),
        budget_at: Some(at_ms(5_000)),
        ..Opening::default()
    };
    assert_eq!(available_to(dispatcher_of(&["a", "b"], 5_500), &saved, 5_500), (vec![7, 7], 12));
    let mut single = dispatcher(10, 0);
    single.quota.reserve(at_ms(0), TokenId::FIRST, 1);
    let json = Saved::of(&single.checkpoint(at_ms(0)), at_ms(0)).to_json();
    assert!(!json.contains("tokens"), "the format of one token is as it was: {json}");
}
