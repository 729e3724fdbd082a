use super::*;

/// Messages have the numbers of their places.
struct BySlot;

impl Numbers for BySlot {
    fn seq(&self, entry_id: EntryId) -> u64 {
        entry_id.into()
    }
}

fn item(entry_id: EntryId, priority: Priority) -> Item {
    Item { entry_id, seq: u64::from(entry_id), priority }
}

fn drain(lanes: &mut Lanes) -> Vec<EntryId> {
    let mut order = Vec::new();
    while let Some((lane, entry_id)) = lanes.take(&BySlot) {
        order.push(entry_id);
        lanes.settle(lane);
    }
    order
}

#[test]
fn lanes_take_turns_however_long_one_is() {
    let mut lanes = Lanes::new(true);
    for entry_id in 0..6 {
        let lane = lanes.of_conversation(&"long".into());
        lanes.push(lane, item(entry_id, 0));
    }
    for entry_id in 6..8 {
        let lane = lanes.of_conversation(&"short".into());
        lanes.push(lane, item(entry_id, 0));
    }
    assert_eq!(drain(&mut lanes), [0, 6, 1, 7, 2, 3, 4, 5]);
    assert_eq!(lanes.conversations(), 0);
}

#[test]
fn an_ordered_lane_hands_out_one_at_a_time_and_a_free_one_all() {
    for (ordered, count) in [(true, 1), (false, 3)] {
        let mut lanes = Lanes::new(ordered);
        let lane = lanes.of_conversation(&"c".into());
        (0..3).for_each(|entry_id| lanes.push(lane, item(entry_id, 0)));
        let handed_out = std::iter::from_fn(|| lanes.take(&BySlot)).count();
        assert_eq!(handed_out, count);
    }
}

#[test]
fn a_put_back_message_keeps_its_place_and_its_lane_goes_first() {
    let mut lanes = Lanes::new(true);
    let (a, b) = (lanes.of_conversation(&"a".into()), lanes.of_conversation(&"b".into()));
    lanes.push(a, item(0, 0));
    lanes.push(b, item(1, 0));
    lanes.push(a, item(2, 0));
    assert_eq!(lanes.take(&BySlot), Some((a, 0)));
    lanes.put_back(a, item(0, 0), &BySlot);
    assert_eq!(drain(&mut lanes), [0, 1, 2]);
}

#[test]
fn an_urgent_message_pulls_its_lane_forward_but_not_past_its_own_elders() {
    let mut lanes = Lanes::new(true);
    let (a, b) = (lanes.of_conversation(&"a".into()), lanes.of_conversation(&"b".into()));
    lanes.push(b, item(0, 0));
    lanes.push(a, item(1, 0));
    lanes.push(a, item(2, 5));
    lanes.push(a, item(3, 0));
    assert_eq!(drain(&mut lanes), [1, 2, 0, 3]);
}

#[test]
fn low_priority_is_not_starved() {
    let mut lanes = Lanes::new(true);
    let low = lanes.of_conversation(&"low".into());
    lanes.push(low, item(0, -5));
    let mut entry_id = 1;
    let mut waited = 0;
    loop {
        let lane = lanes.of_conversation(&format!("high {entry_id}").into());
        lanes.push(lane, item(entry_id, 5));
        entry_id += 1;
        let (lane, taken) = lanes.take(&BySlot).unwrap_or_default();
        lanes.settle(lane);
        if taken == 0 {
            break;
        }
        waited += 1;
        assert!(waited < 32, "starved");
    }
}

#[test]
fn removing_messages_leaves_the_rest_in_order() {
    let mut lanes = Lanes::new(true);
    let lane = lanes.of_conversation(&"c".into());
    (0..5).for_each(|entry_id| lanes.push(lane, item(entry_id, 0)));
    for entry_id in [0, 2, 4] {
        lanes.remove(lane, entry_id, u64::from(entry_id), &BySlot);
    }
    assert_eq!(drain(&mut lanes), [1, 3]);
}

#[test]
fn what_is_on_offer_is_counted() {
    for (ordered, after_take, ready) in [(true, (1, 1), [3, 2]), (false, (2, 3), [5, 4])] {
        let mut lanes = Lanes::new(ordered);
        let (a, b) = (lanes.of_conversation(&"a".into()), lanes.of_conversation(&"b".into()));
        (0..3).for_each(|entry_id| lanes.push(a, item(entry_id, 0)));
        lanes.push(b, item(3, 0));
        let request = lanes.of_request();
        lanes.push(request, item(4, 0));
        assert_eq!((lanes.offering(), lanes.offered(), lanes.offered_by(a)), (2, 4, 3));
        assert_eq!(lanes.ready(), ready[0]);
        assert_eq!(lanes.on_offer(true).collect::<Vec<_>>(), [0, 3]);
        assert_eq!(lanes.on_offer(false).collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert_eq!(lanes.take(&BySlot), Some((a, 0)));
        assert_eq!((lanes.offering(), lanes.offered(), lanes.queued()), (after_take.0, after_take.1, 3));
        assert_eq!(lanes.ready(), ready[1]);
        lanes.put_back(a, item(0, 0), &BySlot);
        assert_eq!((lanes.offering(), lanes.offered()), (2, 4));
        (0..3).for_each(|entry_id| lanes.remove(a, entry_id, u64::from(entry_id), &BySlot));
        assert_eq!((lanes.offering(), lanes.offered()), (1, 1));
    }
}

#[test]
fn the_next_messages_are_those_that_are_handed_out_next() {
    let mut lanes = Lanes::new(false);
    let mut entry_id = 0;
    for (conversation, priority, messages) in
        [("a", 0, 40), ("b", 0, 3), ("c", -1, 10), ("d", 5, 1), ("e", -2, 4), ("f", 0, 1)]
    {
        let lane = lanes.of_conversation(&conversation.into());
        for _ in 0..messages {
            lanes.push(lane, item(entry_id, priority));
            entry_id += 1;
        }
    }
    // Priorities that end shift the turns of the lower ones: before that, the order is exact.
    let first_turns: Vec<EntryId> = lanes.turns.in_turn().filter_map(|lane| lanes.head_of(lane)).collect();
    let next: Vec<EntryId> = lanes.next_in_rounds(6).collect();
    assert_eq!(next, first_turns);
    assert_eq!(next[0], 53, "the highest priority first");
    assert_eq!(lanes.next_in_rounds(3).count(), 3);
    let all: Vec<EntryId> = lanes.next_in_rounds(1_000).collect();
    assert_eq!(all.len(), entry_id as usize);
    assert_eq!(lanes.next_in_runs(2, 5).collect::<Vec<_>>(), [53, 0, 1, 40, 41]);
    let mut handed_out = drain(&mut lanes);
    handed_out.sort_unstable();
    let mut all = all;
    all.sort_unstable();
    assert_eq!(all, handed_out);
}

#[test]
fn turns_of_lower_priorities_are_foreseen() {
    let mut lanes = Lanes::new(true);
    for entry_id in 0..60 {
        let lane = lanes.of_conversation(&format!("c{entry_id}").into());
        lanes.push(lane, item(entry_id, if entry_id % 2 == 0 { 0 } else { -1 }));
    }
    for _ in 0..5 {
        lanes.take(&BySlot);
    }
    let next: Vec<EntryId> = lanes.next_in_rounds(25).collect();
    assert!(next.iter().any(|entry_id| entry_id % 2 == 1));
    assert_eq!(next, drain(&mut lanes)[..25]);
}

/// Counts how often somebody asks for a number.
#[derive(Default)]
struct Counted(std::cell::Cell<usize>);

impl Numbers for Counted {
    fn seq(&self, entry_id: EntryId) -> u64 {
        self.0.set(self.0.get() + 1);
        entry_id.into()
    }
}

#[test]
fn many_of_one_lane_come_back_in_any_order_without_a_walk_past_all_that_wait() {
    const MESSAGES: EntryId = 20_000;
    // A prime that is no divisor of their number visits each once.
    let shuffled: Vec<EntryId> = (0..MESSAGES).map(|index| index * 7_919 % MESSAGES).collect();
    for order in [shuffled, (0..MESSAGES).collect(), (0..MESSAGES).rev().collect()] {
        let mut lanes = Lanes::new(false);
        let lane = lanes.of_conversation(&"c".into());
        // Twice as many as come back: the rest was never handed out.
        (0..2 * MESSAGES).for_each(|entry_id| lanes.push(lane, item(entry_id, 0)));
        for entry_id in 0..MESSAGES {
            assert_eq!(lanes.take(&BySlot), Some((lane, entry_id)));
        }
        let counted = Counted::default();
        for entry_id in order {
            lanes.put_back(lane, item(entry_id, 0), &counted);
        }
        assert!(counted.0.get() < 8 * MESSAGES as usize, "{} looks", counted.0.get());
        lanes.remove(lane, MESSAGES / 2, u64::from(MESSAGES / 2), &BySlot);
        let left: Vec<EntryId> = (0..2 * MESSAGES).filter(|entry_id| *entry_id != MESSAGES / 2).collect();
        assert_eq!(drain(&mut lanes), left);
    }
}

#[test]
fn a_lane_with_two_bars_opens_when_both_are_gone() {
    let mut lanes = Lanes::new(true);
    let name: Arc<str> = "barred".into();
    lanes.shut(&name, Bar::Limit);
    let lane = lanes.of_conversation(&name);
    lanes.push(lane, item(0, 0));
    lanes.shut(&name, Bar::Ended);
    lanes.open(&name, Bar::Limit);
    assert!(lanes.peek().is_none());
    lanes.shut(&name, Bar::Limit);
    lanes.open(&name, Bar::Ended);
    assert!(lanes.peek().is_none());
    lanes.open(&name, Bar::Limit);
    assert_eq!(lanes.peek(), Some((lane, 0)));
}

#[test]
fn a_lane_that_comes_late_is_shown_until_it_is_served_and_never_before_a_higher_priority() {
    let mut lanes = Lanes::new(true);
    let [busy, first, second] = ["busy", "first", "second"].map(|name| lanes.of_conversation(&name.into()));
    lanes.push(busy, item(0, 0));
    assert_eq!(lanes.peek_late(), None);
    lanes.push_late(first, item(1, 0));
    lanes.push_late(second, item(2, 0));
    lanes.push(first, item(3, 0));
    assert_eq!(lanes.peek_late(), Some(first));
    assert_eq!(lanes.take_from(first, &BySlot), Some(1));
    lanes.settle(first);
    assert_eq!((lanes.is_late(first), lanes.peek_late()), (false, Some(second)));
    lanes.push(busy, item(4, 5));
    assert_eq!(lanes.peek_late(), None, "an urgent one goes before");
    // The busy lane is urgent up to its urgent message.
    assert_eq!(drain(&mut lanes), [0, 4, 2, 3]);
    assert_eq!(lanes.peek_late(), None);

    let lane = lanes.of_conversation(&"busy".into());
    lanes.push(lane, item(5, 0));
    lanes.push_late(lane, item(6, 0));
    assert_eq!(lanes.peek_late(), None, "it waits already");
}
