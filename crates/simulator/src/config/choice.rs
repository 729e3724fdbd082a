//! Settings with a fixed set of names.

/// Declares an enum that is written in JSON as one of its names, and whose error lists them all.
macro_rules! choice {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// All values with the names that the configuration gives them.
            pub const ALL: &'static [(&'static str, Self)] = &[$(($text, Self::$variant)),+];
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Names;
                impl serde::de::Visitor<'_> for Names {
                    type Value = $name;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        let names: Vec<_> = $name::ALL.iter().map(|(text, _)| format!("'{text}'")).collect();
                        write!(f, "one of {}", names.join(", "))
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$name, E> {
                        let found = $name::ALL.iter().find(|(name, _)| *name == text);
                        found.map(|(_, value)| *value).ok_or_else(|| {
                            E::invalid_value(serde::de::Unexpected::Str(text), &self)
                        })
                    }
                }
                deserializer.deserialize_any(Names)
            }
        }
    };
}

choice! {
    /// How a quota is counted.
    pub enum Algorithm {
        /// Windows of `perMs`, aligned to the server's start; each has the whole quota.
        FixedWindow = "fixed-window",
        /// Never more than `requests` in any rolling `perMs`.
        SlidingLog = "sliding-log",
        /// A bucket of `requests` tokens that refills evenly over `perMs`.
        TokenBucket = "token-bucket",
    }
}

choice! {
    /// Which headers tell the client about its quota.
    pub enum HeaderFamily {
        /// `X-RateLimit-Limit`, `-Remaining`, `-Reset`.
        X = "x",
        /// `inin-ratelimit-count`, `-allowed`, `-reset`.
        Inin = "inin",
        /// `RateLimit-Policy` and `RateLimit` as structured fields.
        Ietf = "ietf",
        /// `RateLimit-Limit`, `-Remaining`, `-Reset` of the older drafts.
        IetfLegacy = "ietf-legacy",
        /// No headers.
        None = "none",
    }
}

choice! {
    /// How `X-RateLimit-Reset` tells the time; the other families always count seconds.
    pub enum ResetFormat {
        /// Seconds that are left.
        Seconds = "seconds",
        /// Seconds since 1970.
        Unix = "unix",
    }
}

choice! {
    /// What a 429 says in `Retry-After`.
    pub enum RetryAfter {
        /// The seconds that are left, rounded up.
        Right = "right",
        /// `0`, while the limit is still in force.
        Zero = "zero",
        /// The right moment as an HTTP date.
        Date = "date",
        /// An HTTP date of an hour ago.
        Past = "past",
        /// Thousands of years.
        Absurd = "absurd",
        /// A number below zero.
        Negative = "negative",
        /// Neither a number nor a date.
        Garbage = "garbage",
        /// No such header.
        Missing = "missing",
    }
}

choice! {
    /// What goes wrong with an API request.
    pub enum Fault {
        /// The connection is reset before the request counts: no arrival, no acceptance.
        CutBefore = "cutBefore",
        /// The request is accepted, and the connection closes without a byte of the answer.
        CutAfter = "cutAfter",
        /// 500, not accepted; spends quota.
        Status500 = "status500",
        /// 502, not accepted; spends quota.
        Status502 = "status502",
        /// 503, not accepted; spends quota.
        Status503 = "status503",
        /// 504, not accepted; spends quota.
        Status504 = "status504",
        /// 408, not accepted; spends quota.
        Status408 = "status408",
        /// The request is accepted, and the answer is bytes that aren't HTTP.
        Garbage = "garbage",
        /// The answer comes `slowMs` later.
        Slow = "slow",
    }
}

choice! {
    /// What goes wrong with every token request.
    pub enum TokenFault {
        /// 500.
        Status500 = "status500",
        /// The connection closes without an answer.
        Cut = "cut",
        /// The answer comes `faults.slowMs` later.
        Slow = "slow",
    }
}

choice! {
    /// How a request that carries an array of messages is answered.
    pub enum ArrayAnswer {
        /// One status for all of them.
        Status = "status",
        /// A list with a status for each.
        List = "list",
    }
}
