//! Hosts that leave a fleet: what they held is the others' at once.

use std::time::Duration;

use spillway_core::dispatcher::{Effect, Farewell};

use super::beside::{Fleet, status};

const SHARED_MS: u64 = 3_000;

/// Two hosts with a backlog each, of which the first one leaves, with or without a word; what the other one sends in
/// the two seconds after the next one.
fn sent_when_the_other_leaves(says_so: bool) -> usize {
    let mut fleet = Fleet::new(2);
    for host in [0, 1] {
        for _ in 0..200 {
            fleet.submit(host);
        }
    }
    let sent = fleet.run_ms(SHARED_MS, |_, _| Some(status(200)));
    assert!(sent.iter().filter(|(host, _)| *host == 0).count() > 20, "both have a share: {sent:?}");
    fleet.hold(0);
    if says_so {
        let Farewell::Renewal(renewal) = fleet.hosts[0].farewell(fleet.now) else { panic!("it has something to give") };
        fleet.perform(0, vec![Effect::Renew(renewal)]);
        assert!(matches!(fleet.hosts[0].farewell(fleet.now), Farewell::Said));
    }
    let from = fleet.now.after(Duration::from_millis(1_000));
    let sent = fleet.run_ms(3_000, |_, _| Some(status(200)));
    assert!(sent.iter().all(|(host, _)| *host == 1), "who has left sends nothing");
    sent.iter().filter(|(_, at)| *at >= from).count()
}

#[test]
fn what_a_host_held_that_leaves_is_the_others_within_a_renewal() {
    let (told, untold) = (sent_when_the_other_leaves(true), sent_when_the_other_leaves(false));
    assert!(told >= 38, "{told} of 40");
    assert!(untold <= 22, "without a word its lease has to end first: {untold}");
}
