//! Who owns a store. One engine at a time changes it: opening claims it, and the claim has a token that every change
//! carries, so that a store can refuse the changes of an owner that another one has followed.

/// The number of a claim: each one is larger than all before it in the same store.
///
/// ```
/// use spillway_core::store::FencingToken;
///
/// let (earlier, later) = (FencingToken::new(7), FencingToken::new(8));
/// assert!(earlier < later, "changes that carry the earlier one are refused from now on");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct FencingToken(u64);

impl FencingToken {
    /// The token of the claim with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn number(self) -> u64 {
        self.0
    }
}
