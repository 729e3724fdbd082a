//! The limit that a refusal's body names, and for whom it holds.

/// Where the limits of the platform are; those of other namespaces hold for single services.
const PLATFORM: &str = "platform.api";
/// Words in the keys of limits that all requests with the same token, or of the same organization, share.
const SHARED: [&str; 3] = ["token", "org", "organization"];
/// Words in the keys of limits that each conversation has for itself.
const OF_A_CONVERSATION: [&str; 6] =
    ["conversation", "conversations", "communication", "session", "participant", "thread"];

/// The limit that a refusal's body names: `{ key, namespace, value }`. It says what the refusal applies to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedLimit {
    /// As in `client.credentials.token.rate.per.minute`: printable ASCII, at most 128 bytes.
    pub key: String,
    /// As in `platform.api`; the same holds for it.
    pub namespace: Option<String>,
    /// The limit itself, where it is a whole number above 0.
    pub value: Option<u64>,
}

/// For what a limit holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Everything that shares its token, or is of its organization.
    Organization,
    /// The requests of one route.
    Route,
    /// Those of one conversation.
    Conversation,
}

impl NamedLimit {
    /// Whether each access token has such a limit for itself, if it is none of a service or of the organization.
    pub fn is_of_token(&self) -> bool {
        self.key
            .split(|character: char| !character.is_ascii_alphanumeric())
            .any(|word| word.eq_ignore_ascii_case("token"))
    }

    /// For what it holds, by its name.
    ///
    /// ```
    /// use spillway_core::evidence::{Extent, NamedLimit};
    ///
    /// let of = |namespace: &str, key: &str| {
    ///     NamedLimit { key: key.to_owned(), namespace: Some(namespace.to_owned()), value: None }.extent()
    /// };
    /// assert_eq!(of("platform.api", "client.credentials.token.rate.per.minute"), Extent::Organization);
    /// assert_eq!(of("analytics", "client.credentials.token.rate.per.minute"), Extent::Route);
    /// assert_eq!(of("platform.api", "workitems.per.day"), Extent::Route);
    /// assert_eq!(of("messaging", "messages.per.conversation.per.minute"), Extent::Conversation);
    /// ```
    pub fn extent(&self) -> Extent {
        let has = |words: &[&str]| {
            let mut segments = self.key.split(|character: char| !character.is_ascii_alphanumeric());
            segments.any(|segment| words.iter().any(|word| segment.eq_ignore_ascii_case(word)))
        };
        let is_of_platform = self.namespace.as_deref().is_none_or(|namespace| namespace == PLATFORM);
        if is_of_platform && has(&SHARED) {
            Extent::Organization
        } else if has(&OF_A_CONVERSATION) {
            Extent::Conversation
        } else {
            Extent::Route
        }
    }
}
