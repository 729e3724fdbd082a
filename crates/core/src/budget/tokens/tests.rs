use std::num::NonZeroU32;

use super::*;
use crate::settings::Rate;

fn at_ms(ms: u64) -> Timestamp {
    Timestamp::from_micros(ms * 1_000)
}

fn rate(requests: u32, per_ms: u64) -> Rate {
    let requests = NonZeroU32::new(requests).unwrap();
    Rate { requests, per: Duration::from_millis(per_ms), burst: requests }
}

/// Two tokens, with two requests a second each.
fn budget(over_all: &[Rate]) -> Quota {
    let each = (0..2).map(|_| Quota::new(&[rate(2, 1_000)], at_ms(0)));
    Quota::of_tokens(each, over_all, at_ms(0))
}

fn both() -> TokenSet {
    TokenId::all(2).collect()
}

/// Sends a request that is answered at once: with which token.
fn send(quota: &mut Quota, ms: u64, usable: TokenSet) -> Result<usize, NotYet> {
    let token = quota.check(at_ms(ms), usable, 1)?;
    quota.reserve(at_ms(ms), token, 1);
    quota.left(at_ms(ms), token, 1);
    let heard = Heard { sent_at: at_ms(ms), cost: 1, refused: false, evidence: None };
    quota.heard(at_ms(ms), token, heard);
    Ok(token.index())
}

#[test]
fn the_token_goes_first_that_was_used_longest_ago() {
    let mut quota = budget(&[]);
    let only_second: TokenSet = TokenId::all(2).skip(1).collect();
    assert_eq!([send(&mut quota, 0, both()), send(&mut quota, 1, both())], [Ok(0), Ok(1)]);
    assert_eq!(send(&mut quota, 2, only_second), Ok(1));
    assert_eq!(send(&mut quota, 3, only_second), Err(NotYet::Until(quota_free_at(1))));
    assert_eq!(send(&mut quota, 3, both()), Ok(0));
    let spent = Err(NotYet::Until(quota_free_at(0)));
    assert_eq!(send(&mut quota, 4, both()), spent, "when the first of all slots is free");
    assert_eq!((quota.available(at_ms(4)), quota.next_free(at_ms(4))), (0, Some(quota_free_at(0))));
    assert_eq!(quota.available(at_ms(1_100)), 4);
}

/// When a slot is free that a request took which was answered then.
fn quota_free_at(ms: u64) -> Timestamp {
    at_ms(ms).after(Duration::from_secs(1) + crate::budget::exact::GUARD)
}

#[test]
fn the_limit_over_all_holds_besides() {
    let mut quota = budget(&[rate(3, 2_000)]);
    for _ in 0..3 {
        send(&mut quota, 0, both()).unwrap();
    }
    let free = at_ms(0).after(Duration::from_secs(2) + crate::budget::exact::GUARD);
    assert_eq!(send(&mut quota, 0, both()), Err(NotYet::Until(free)));
    let [first, second] = [0, 1].map(|index| TokenId::all(2).nth(index).unwrap());
    assert_eq!((quota.available(at_ms(0)), quota.available_to(at_ms(0), second)), (0, 0));
    assert_eq!(quota.next_free(at_ms(0)), Some(free));
    assert_eq!((quota.spent_of(at_ms(0), first).len(), quota.spent(at_ms(0)).len()), (2, 3));
    let believed: Vec<_> = quota.believed().iter().map(|one| (one.requests, one.per.as_secs())).collect();
    assert_eq!(believed, [(4, 1), (3, 2)], "what the tokens allow together, and the organization");
}

#[test]
fn what_is_not_sent_is_free_for_its_token_and_for_all() {
    let mut quota = budget(&[rate(2, 1_000)]);
    let token = quota.check(at_ms(0), both(), 1).unwrap();
    quota.reserve(at_ms(0), token, 1);
    assert_eq!(quota.available(at_ms(0)), 1);
    quota.cancel(token, 1);
    assert_eq!((quota.available(at_ms(0)), quota.available_to(at_ms(0), token)), (2, 2));
    quota.reserve(at_ms(0), token, 1);
    quota.left(at_ms(0), token, 1);
    quota.unsent(at_ms(5), at_ms(0), token, 1);
    assert_eq!(quota.available(at_ms(5)), 2);
}
