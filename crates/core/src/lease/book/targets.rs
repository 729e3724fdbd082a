//! What is due to each host: max-min fair, weighted by the conversations that wait there.
//!
//! A host that needs less than its part gets what it needs, and the others share what is left. What whole slots can't
//! divide goes round: each host that is due a fraction has a slot more for a turn. A host's pass grows with each of its
//! turns, the faster the smaller its fraction, and who has the lowest pass is next (stride scheduling). A turn that has
//! begun is not taken away.
//!
//! Whole numbers only, below 2 to the power of 53, so that a script computes the same.

/// What the pass of a host grows by in a turn, if a whole slot is due to it.
const STRIDE: u64 = 1_000;

/// A host that needs slots of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) weight: u32,
    pub(super) need: u32,
    pub(super) pass: u64,
    /// It has a turn already.
    pub(super) in_turn: bool,
}

/// What is due to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) slots: u32,
    /// One of these is its turn, after which its pass grows by this.
    pub(super) stride: Option<u64>,
}

/// How a window is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Division {
    /// Slots for those that need more than their part.
    slots: u64,
    /// Their weights.
    weights: u64,
}

/// Divides `slots` among the claims: who needs less than its part gets that, and is not among those that share the
/// rest, the second.
fn divide(slots: u32, claims: &[Claim]) -> (Vec<bool>, Division) {
    let mut is_open = vec![true; claims.len()];
    let mut rest = Division { slots: slots.into(), weights: claims.iter().map(|claim| u64::from(claim.weight)).sum() };
    loop {
        let fits = |claim: &Claim| u64::from(claim.need) * rest.weights <= rest.slots * u64::from(claim.weight);
        let served: Vec<usize> = (0..claims.len()).filter(|at| is_open[*at] && fits(&claims[*at])).collect();
        if served.is_empty() {
            return (is_open, rest);
        }
        for at in served {
            is_open[at] = false;
            rest.slots -= u64::from(claims[at].need);
            rest.weights -= u64::from(claims[at].weight);
        }
    }
}

/// What is due to each claim, in their order.
pub(super) fn targets(slots: u32, claims: &[Claim]) -> Vec<Due> {
    let (is_open, rest) = divide(slots, claims);
    let part = |claim: &Claim| rest.slots * u64::from(claim.weight);
    let fraction = |claim: &Claim| part(claim).checked_rem(rest.weights).unwrap_or_default();
    let mut due = Vec::with_capacity(claims.len());
    let mut left = rest.slots;
    for (claim, is_open) in claims.iter().zip(&is_open) {
        let whole = part(claim).checked_div(rest.weights).unwrap_or_default();
        let slots = if *is_open { u32::try_from(whole).unwrap_or(u32::MAX) } else { claim.need };
        left -= if *is_open { u64::from(slots) } else { 0 };
        due.push(Due { slots, stride: None });
    }
    let mut next: Vec<usize> = (0..claims.len()).filter(|at| is_open[*at] && fraction(&claims[*at]) > 0).collect();
    debug_assert!(next.is_empty() || left < next.len() as u64, "less than one is left for each");
    next.sort_by_key(|at| (!claims[*at].in_turn, claims[*at].pass));
    for (at, _) in next.into_iter().zip(0..left) {
        due[at].slots += 1;
        due[at].stride = (STRIDE * rest.weights).checked_div(fraction(&claims[at]));
    }
    due
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(list: &[(u32, u32)]) -> Vec<Claim> {
        list.iter().map(|(weight, need)| Claim { weight: *weight, need: *need, pass: 0, in_turn: false }).collect()
    }

    fn slots(slots: u32, claims: &[Claim]) -> Vec<u32> {
        targets(slots, claims).into_iter().map(|due| due.slots).collect()
    }

    #[test]
    fn who_needs_little_gets_it_and_the_others_share_the_rest() {
        assert_eq!(slots(100, &claims(&[(1, 10), (1, 1_000), (1, 1_000)])), [10, 45, 45]);
        assert_eq!(slots(100, &claims(&[(1, 10), (1, 20)])), [10, 20], "the rest stays in the pool");
        assert_eq!(slots(100, &claims(&[(3, 1_000), (1, 1_000)])), [75, 25]);
        assert_eq!(slots(100, &claims(&[(3, 30), (1, 1_000)])), [30, 70]);
        assert_eq!(slots(100, &[]), [0; 0]);
        assert_eq!(slots(0, &claims(&[(1, 1)])), [0]);
    }

    /// How many slots each has had after so many turns.
    fn turns(count: u32, slots: u32, mut hosts: Vec<Claim>) -> Vec<u32> {
        let mut had = vec![0; hosts.len()];
        for _ in 0..count {
            for ((due, host), had) in targets(slots, &hosts).into_iter().zip(&mut hosts).zip(&mut had) {
                host.pass += due.stride.unwrap_or_default();
                *had += due.slots;
            }
        }
        had
    }

    #[test]
    fn what_whole_slots_cannot_divide_goes_round() {
        assert_eq!(turns(40, 3, claims(&[(1, 9), (1, 9), (1, 9), (1, 9)])), [30; 4]);
        assert_eq!(turns(40, 10, claims(&[(1, 9), (1, 9), (1, 9), (1, 9)])), [100; 4]);
        assert_eq!(turns(40, 1, claims(&[(3, 9), (1, 9)])), [30, 10], "by weights, too");
    }

    #[test]
    fn a_turn_that_has_begun_is_not_taken_away() {
        let mut hosts = claims(&[(1, 9), (1, 9), (1, 9)]);
        hosts[2] = Claim { pass: 5_000, in_turn: true, ..hosts[2] };
        assert_eq!(slots(1, &hosts), [0, 0, 1]);
        assert_eq!(slots(5, &hosts), [2, 1, 2]);
    }

    #[test]
    fn no_more_is_due_than_there_is() {
        let mut state = 7_u64;
        let mut draw = |most: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            u32::try_from((state >> 33) % (most + 1)).unwrap_or_default()
        };
        for _ in 0..20_000 {
            let there = draw(50);
            let count = draw(8);
            let hosts: Vec<Claim> = (0..count)
                .map(|_| Claim {
                    weight: 1 + draw(5),
                    need: draw(40),
                    pass: u64::from(draw(2_000)),
                    in_turn: draw(3) == 0,
                })
                .collect();
            let due = slots(there, &hosts);
            let needed: u32 = hosts.iter().map(|host| host.need).sum();
            assert_eq!(due.iter().sum::<u32>(), there.min(needed), "{there} for {hosts:?}: {due:?}");
            assert!(due.iter().zip(&hosts).all(|(due, host)| *due <= host.need), "{there} for {hosts:?}: {due:?}");
        }
    }
}
