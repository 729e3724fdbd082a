//! What is due to each host: max-min fair, weighted by the conversations that wait there.
//!
//! A host that needs less than its part gets what it needs, and the others share what is left. What whole slots can't
//! divide goes round: a host that has had less than its part so far is the next to have a slot more.
//!
//! Whole numbers only, below 2 to the power of 53, so that a script computes the same.

/// How much of a debt is remembered, in thousandths of a slot, times milliseconds: 20 slots for a second.
const DEFICIT_MAX: i64 = 20_000_000;
/// Thousandths of a slot.
const MILLI: i64 = 1_000;

/// A host that needs slots of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) weight: u32,
    pub(super) need: u32,
    /// What it has had too little so far; negative: too much.
    pub(super) deficit: i64,
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

/// The target of each claim, in their order.
pub(super) fn targets(slots: u32, claims: &[Claim]) -> Vec<u32> {
    let (is_open, rest) = divide(slots, claims);
    let part = |claim: &Claim| (rest.slots * u64::from(claim.weight)).checked_div(rest.weights).unwrap_or_default();
    let mut targets: Vec<u32> = Vec::with_capacity(claims.len());
    for (claim, is_open) in claims.iter().zip(&is_open) {
        targets.push(if *is_open { part(claim).try_into().unwrap_or(u32::MAX) } else { claim.need });
    }
    let given: u64 =
        targets.iter().zip(&is_open).filter(|(_, open)| **open).map(|(target, _)| u64::from(*target)).sum();
    let left = if is_open.contains(&true) { rest.slots - given } else { 0 };
    let mut next: Vec<usize> = (0..claims.len()).filter(|at| is_open[*at]).collect();
    next.sort_by_key(|at| std::cmp::Reverse(claims[*at].deficit));
    debug_assert!(left <= next.len() as u64, "less than one is left for each");
    next.iter().zip(0..left).for_each(|(at, _)| targets[*at] += 1);
    targets
}

/// The deficits after `millis` in which each claim had this share of the slots.
pub(super) fn accrue(slots: u32, claims: &mut [Claim], shares: &[u32], millis: u64) {
    let (is_open, rest) = divide(slots, claims);
    let millis = i64::try_from(millis).unwrap_or(i64::MAX);
    for ((claim, is_open), share) in claims.iter_mut().zip(is_open).zip(shares) {
        let part = (rest.slots * u64::from(claim.weight) * MILLI.unsigned_abs()).checked_div(rest.weights);
        let part = i64::try_from(part.unwrap_or_default()).unwrap_or(i64::MAX);
        let change = (part - i64::from(*share) * MILLI) * millis;
        claim.deficit = if is_open { (claim.deficit + change).clamp(-DEFICIT_MAX, DEFICIT_MAX) } else { 0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(list: &[(u32, u32)]) -> Vec<Claim> {
        list.iter().map(|(weight, need)| Claim { weight: *weight, need: *need, deficit: 0 }).collect()
    }

    #[test]
    fn who_needs_little_gets_it_and_the_others_share_the_rest() {
        assert_eq!(targets(100, &claims(&[(1, 10), (1, 1_000), (1, 1_000)])), [10, 45, 45]);
        assert_eq!(targets(100, &claims(&[(1, 10), (1, 20)])), [10, 20], "the rest stays in the pool");
        assert_eq!(targets(100, &claims(&[(3, 1_000), (1, 1_000)])), [75, 25]);
        assert_eq!(targets(100, &claims(&[(3, 30), (1, 1_000)])), [30, 70]);
        assert_eq!(targets(100, &[]), [0; 0]);
        assert_eq!(targets(0, &claims(&[(1, 1)])), [0]);
    }

    #[test]
    fn what_whole_slots_cannot_divide_goes_round() {
        let mut hosts = claims(&[(1, 9), (1, 9), (1, 9), (1, 9)]);
        let mut had = [0; 4];
        for _ in 0..40 {
            let shares = targets(3, &hosts);
            assert_eq!(shares.iter().sum::<u32>(), 3);
            shares.iter().zip(&mut had).for_each(|(share, had)| *had += share);
            accrue(3, &mut hosts, &shares, 250);
        }
        assert_eq!(had, [30; 4]);
    }

    #[test]
    fn no_more_is_due_than_there_is() {
        let mut state = 7_u64;
        let mut draw = |most: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            u32::try_from((state >> 33) % (most + 1)).unwrap_or_default()
        };
        for _ in 0..20_000 {
            let slots = draw(50);
            let count = draw(8);
            let hosts: Vec<Claim> = (0..count)
                .map(|_| Claim { weight: 1 + draw(5), need: draw(40), deficit: i64::from(draw(2_000)) - 1_000 })
                .collect();
            let due = targets(slots, &hosts);
            let needed: u32 = hosts.iter().map(|host| host.need).sum();
            assert_eq!(due.iter().sum::<u32>(), slots.min(needed), "{slots} for {hosts:?}: {due:?}");
            assert!(due.iter().zip(&hosts).all(|(due, host)| *due <= host.need), "{slots} for {hosts:?}: {due:?}");
        }
    }
}
