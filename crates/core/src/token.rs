//! Which of an organization's access tokens.

/// The most OAuth clients of an organization: as many as the largest pool of Genesys' own tools.
pub const TOKENS_MAX: usize = 50;

/// An access token, by the place of its credentials in the settings. It stays the same when the token is renewed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId(u8);

impl TokenId {
    /// The only one, where there is one.
    pub const FIRST: Self = Self(0);

    /// All of so many.
    pub fn all(count: usize) -> impl DoubleEndedIterator<Item = Self> {
        debug_assert!((1..=TOKENS_MAX).contains(&count), "there is a token, and the settings bound how many");
        (0..u8::try_from(count).unwrap_or(u8::MAX)).map(Self)
    }

    /// Its place.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// Some of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenSet(u64);

impl TokenSet {
    /// The only one, where there is one.
    pub const FIRST: Self = Self(1);

    /// Adds one.
    pub fn add(&mut self, token: TokenId) {
        self.0 |= 1 << token.0;
    }

    /// Whether it is one of them.
    pub fn has(self, token: TokenId) -> bool {
        self.0 & (1 << token.0) != 0
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many.
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Each of them, in order.
    pub fn iter(self) -> impl Iterator<Item = TokenId> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let next = (left != 0).then(|| TokenId(left.trailing_zeros() as u8))?;
            left &= left - 1;
            Some(next)
        })
    }
}

impl FromIterator<TokenId> for TokenSet {
    fn from_iter<I: IntoIterator<Item = TokenId>>(tokens: I) -> Self {
        let mut set = Self::default();
        tokens.into_iter().for_each(|token| set.add(token));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_each_token_once_and_in_order() {
        let [first, second, .., last] = TokenId::all(TOKENS_MAX).collect::<Vec<_>>()[..] else {
            panic!("three or more")
        };
        let set: TokenSet = [last, first, last].into_iter().collect();
        assert!(set.has(first) && set.has(last) && !set.has(second));
        assert_eq!((set.len(), set.iter().collect::<Vec<_>>()), (2, vec![first, last]));
        assert!(TokenSet::default().is_empty() && TokenSet::FIRST.has(TokenId::FIRST));
    }
}
