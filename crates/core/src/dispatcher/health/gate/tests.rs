use super::*;

const THROTTLED: Cause = Cause::Throttled(WaitSource::RetryAfter);
const PATIENCE: Duration = Duration::from_secs(1);

fn at(ms: u64) -> Timestamp {
    Timestamp::from_micros(ms * 1_000)
}

fn probe(gate: &mut Gate, now: Timestamp, attempt: AttemptId) {
    gate.probe(now, attempt);
    gate.left(now, attempt, PATIENCE, Duration::ZERO);
}

fn opened(gate: &mut Gate, now: Timestamp) -> u128 {
    gate.open(now).unwrap().1.as_millis()
}

#[test]
fn a_pause_is_as_long_as_it_holds_something_back() {
    let mut gate = Gate::new(at(0));
    gate.shut(at(0), at(1_000), THROTTLED);
    assert!(gate.holds(at(999)) && !gate.holds(at(1_000)));
    assert_eq!(gate.pass(at(6_000)), Pass::Probe);
    assert!(!gate.holds(at(6_000)));
    probe(&mut gate, at(6_000), 1);
    assert!(gate.holds(at(6_050)));
    assert_eq!(opened(&mut gate, at(6_100)), 1_100);

    gate.shut(at(10_000), at(11_000), THROTTLED);
    gate.pass(at(12_000));
    probe(&mut gate, at(12_000), 2);
    gate.probe_lost(at(12_300), 2);
    probe(&mut gate, at(20_000), 3);
    gate.shut(at(20_100), at(21_000), THROTTLED);
    gate.pass(at(21_000));
    probe(&mut gate, at(21_000), 4);
    assert_eq!(opened(&mut gate, at(21_100)), 1_000 + 300 + 100 + 900 + 100);
}

#[test]
fn what_is_over_sooner_leaves_a_pause_as_it_is() {
    let mut gate = Gate::new(at(0));
    gate.shut(at(0), at(60_000), THROTTLED);
    gate.strike();
    assert!(!gate.shut(at(10_000), at(12_000), Cause::Auth));
    assert_eq!((gate.throttled_by(), gate.strikes()), (Some(WaitSource::RetryAfter), 1));
    assert!(gate.is_shut(at(59_999)) && !gate.is_shut(at(60_000)));
    gate.pass(at(60_000));
    probe(&mut gate, at(60_000), 1);
    assert_eq!(opened(&mut gate, at(60_100)), 60_100);
}

#[test]
fn a_later_time_that_comes_when_the_first_is_over_leaves_a_gap() {
    let mut gate = Gate::new(at(0));
    gate.shut(at(0), at(1_000), THROTTLED);
    gate.shut(at(1_500), at(3_000), THROTTLED);
    probe(&mut gate, at(3_000), 1);
    assert_eq!(opened(&mut gate, at(3_000)), 2_500);
}

#[test]
fn a_long_wait_is_probed_at_intervals_until_it_is_over() {
    const EVERY: Duration = Duration::from_secs(180);
    let mut gate = Gate::new(at(0));
    let asked = at(500_000);
    assert!(gate.pause(at(0), asked, EVERY, WaitSource::RetryAfter, true));
    for (probe_at, next_ms) in [(180_000, 360_100), (360_100, 500_000)] {
        assert!(gate.is_shut(at(probe_at - 1)) && gate.pass(at(probe_at)) == Pass::Probe);
        assert!(gate.holds(at(probe_at)), "the wait goes on, whether or not anything is there to probe with");
        probe(&mut gate, at(probe_at), probe_at);
        assert_eq!(gate.closure().unwrap().until, Some(asked));
        assert!(gate.uphold(at(probe_at + 100), EVERY), "refused without a time");
        let closure = gate.closure().unwrap();
        assert_eq!((closure.until, closure.next_probe), (Some(asked), Some(at(next_ms.min(probe_at + 180_100)))));
    }
    assert_eq!(gate.pass(at(500_000)), Pass::Probe);
    probe(&mut gate, at(500_000), 9);
    assert!(!gate.uphold(at(500_100), EVERY), "its time is over");
    assert_eq!(opened(&mut gate, at(500_100)), 500_100);
}

#[test]
fn only_news_makes_a_wait_shorter() {
    const EVERY: Duration = Duration::from_secs(180);
    let (day, hour) = (at(86_400_000), at(3_600_000));
    let mut gate = Gate::new(at(0));
    let pause = |gate: &mut Gate, ms, until, is_new| gate.pause(at(ms), until, EVERY, WaitSource::RetryAfter, is_new);
    assert!(pause(&mut gate, 0, hour, true));
    assert!(!pause(&mut gate, 0, hour, false), "the same again");
    assert!(pause(&mut gate, 0, day, false), "longer, at the same moment");
    assert!(!pause(&mut gate, 10, hour, false));
    assert_eq!(gate.closure().unwrap().until, Some(day));
    gate.pass(at(180_000));
    probe(&mut gate, at(180_000), 1);
    assert!(!pause(&mut gate, 180_010, hour, false) && gate.is_probe(1), "a late answer leaves the probe out");
    assert!(pause(&mut gate, 180_020, at(185_000), true));
    assert_eq!(gate.closure().unwrap().until, Some(at(185_000)), "the probe's answer is the server's newest word");
    gate.pass(at(185_000));
    probe(&mut gate, at(185_000), 2);
    gate.probe_failed(at(185_010), 2, EVERY);
    assert_eq!(gate.pass(at(185_010)), Pass::Probe);
}

#[test]
fn a_probe_that_fails_leaves_a_long_wait_in_force() {
    const EVERY: Duration = Duration::from_secs(180);
    let mut gate = Gate::new(at(0));
    gate.pause(at(0), at(86_400_000), EVERY, WaitSource::RetryAfter, true);
    gate.pass(at(180_000));
    probe(&mut gate, at(180_000), 1);
    probe(&mut gate, at(181_000), 2);
    gate.probe_failed(at(182_000), 1, EVERY);
    assert!(gate.is_probe(2));
    gate.probe_failed(at(183_000), 2, EVERY);
    assert_eq!(gate.pass(at(183_000)), Pass::Shut(at(363_000)));
    // What has not left at all says nothing, and costs no interval.
    gate.pass(at(363_000));
    probe(&mut gate, at(363_000), 3);
    gate.probe_lost(at(363_100), 3);
    assert_eq!(gate.pass(at(363_100)), Pass::Probe);
}

#[test]
fn a_slow_probe_is_joined_by_one_more_at_doubling_intervals() {
    let mut gate = Gate::new(at(0));
    gate.shut(at(0), at(1_000), THROTTLED);
    let mut joined = Vec::new();
    for ms in 1_000..600_000 {
        if gate.pass(at(ms)) == Pass::Probe {
            probe(&mut gate, at(ms), ms);
            assert!(gate.is_probe(ms));
            joined.push(ms);
        }
    }
    assert_eq!(joined, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 62_000, 92_000]);
    assert_eq!(gate.pass(at(600_000)), Pass::AwaitProbe(None));
}

#[test]
fn any_of_several_probes_decides_and_a_lost_one_leaves_the_others() {
    let mut gate = Gate::new(at(0));
    gate.shut(at(0), at(1_000), THROTTLED);
    gate.pass(at(1_000));
    probe(&mut gate, at(1_000), 1);
    assert_eq!(gate.pass(at(1_999)), Pass::AwaitProbe(Some(at(2_000))));
    assert_eq!(gate.pass(at(2_000)), Pass::Probe);
    probe(&mut gate, at(2_000), 2);
    gate.probe_lost(at(2_100), 1);
    gate.probe_lost(at(2_100), 7);
    assert!(matches!(gate.pass(at(2_100)), Pass::AwaitProbe(_)) && gate.is_probe(2) && !gate.is_probe(1));
    gate.shut(at(2_200), at(3_000), THROTTLED);
    assert!(!gate.is_probe(2), "its answer tells nothing about the new closure");
    gate.pass(at(3_000));
    probe(&mut gate, at(3_000), 3);
    gate.probe_lost(at(3_100), 3);
    assert_eq!(gate.pass(at(3_100)), Pass::Probe);
    probe(&mut gate, at(3_100), 4);
    assert!(gate.open(at(3_200)).is_some() && !gate.is_probe(4));
}
