use super::*;

fn message(id: &'static str, seq: f64) -> Message<'static> {
    Message { id: Some(id.into()), conversation: Some("c".into()), seq: Some(seq), poisoned: false }
}

fn accept(ledger: &mut Ledger, messages: &[Message<'static>]) {
    for message in messages {
        ledger.accepted(0, std::iter::once(message), Answered::Accepted);
    }
}

#[test]
fn duplicates_and_order() {
    let cases: [(&[Message<'static>], u64, u64); 6] = [
        (&[message("a", 1.0), message("b", 2.0), message("c", 3.0)], 0, 0),
        // A retry right behind its first acceptance is a duplicate, but in order.
        (&[message("a", 1.0), message("a", 1.0), message("b", 2.0)], 1, 0),
        // Behind its successor it is both.
        (&[message("a", 1.0), message("b", 2.0), message("a", 1.0)], 1, 1),
        (&[message("b", 2.0), message("a", 1.0)], 0, 1),
        (&[message("a", 1.0), message("b", 1.0)], 0, 1),
        (&[message("c", 3.0), message("a", 1.0), message("b", 2.0)], 0, 2),
    ];
    for (messages, duplicates, violations) in cases {
        let mut ledger = Ledger::new(1_000_000);
        accept(&mut ledger, messages);
        let report = ledger.report(false);
        assert_eq!((report.duplicates, report.order_violations), (duplicates, violations), "{messages:?}");
        assert_eq!(report.accepted, messages.len() as u64);
    }
}

#[test]
fn ids_only_when_asked_for() {
    let mut ledger = Ledger::new(1_000_000);
    ledger.accepted(5_500, [message("a", 1.0), message("b", 2.0)].iter(), Answered::Nothing);
    accept(&mut ledger, &[message("b", 2.0)]);
    let report = ledger.report(true);
    let counts = |ids: &[(&str, u32)]| Some(ids.iter().map(|(id, count)| ((*id).to_owned(), *count)).collect());
    assert_eq!(report.ids, counts(&[("a", 1), ("b", 2)]));
    assert_eq!(report.cut_ids, counts(&[("a", 1), ("b", 1)]));
    assert_eq!((report.unique_ids, report.duplicates), (2, 1));
    assert_eq!(ledger.report(false).ids, None);
    assert_eq!(ledger.report(false).cut_ids, None);
}

#[test]
fn flights() {
    let mut ledger = Ledger::new(1_000_000);
    let first = ledger.open(["a", "b", "a"].into_iter());
    let second = ledger.open(["b"].into_iter());
    ledger.close(first);
    let third = ledger.open(std::iter::empty());
    ledger.close(second);
    ledger.close(third);
    let fourth = ledger.open(["b"].into_iter());
    ledger.close(fourth);
    let report = ledger.report(false);
    assert_eq!((report.max_in_flight, report.max_in_flight_per_conversation), (2, 2));
}

#[test]
fn a_new_window_starts_a_new_count() {
    let mut ledger = Ledger::new(1_000);
    (0..5).for_each(|_| ledger.arrived(10));
    ledger.set_window(1_000);
    assert_eq!(ledger.report(false).most_in_window, 5);
    ledger.set_window(2_000);
    let report = ledger.report(false);
    assert_eq!((report.most_in_window, report.window_ms, report.arrivals), (0, 2.0, 5));
}
