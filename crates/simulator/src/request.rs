//! A request as the model sees it, and where it goes.

use memchr::memmem;

/// What the model needs of an HTTP request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Request<'a> {
    /// The method, in upper case.
    pub method: &'a str,
    /// The path, percent-encoded; a query is ignored.
    pub path: &'a str,
    /// The `Authorization` header.
    pub authorization: Option<&'a str>,
    /// The `Idempotency-Key` header, percent-encoded: a message's id when its body has none.
    pub idempotency_key: Option<&'a str>,
    /// The whole body; of one that is too long, at least a byte more than allowed.
    pub body: &'a [u8],
}

impl<'a> Request<'a> {
    /// Whether this is for [`Model::oauth`](crate::Model::oauth) instead of [`Model::arrive`](crate::Model::arrive).
    pub fn is_token_request(&self) -> bool {
        self.path().ends_with("/oauth/token")
    }

    /// The path without its query.
    pub(crate) fn path(&self) -> &'a str {
        self.path.split_once('?').map_or(self.path, |(path, _)| path)
    }

    /// The conversation's path segment, still percent-encoded: what follows `/conversations/`, unless that is the word
    /// `messages` of a route that names no conversation.
    pub(crate) fn conversation_segment(&self) -> Option<&'a str> {
        const BEFORE: &str = "/conversations/";
        let path = self.path();
        // Each request asks for it, and `str::find` would take several times as long.
        let behind = &path[memmem::find(path.as_bytes(), BEFORE.as_bytes())? + BEFORE.len()..];
        let segment = behind.find('/').map_or(behind, |end| &behind[..end]);
        (!matches!(segment, "" | "messages")).then_some(segment)
    }

    /// Which of the simulator's routes this is.
    pub(crate) fn route(&self) -> Route<'a> {
        let path = self.path();
        match self.method {
            "POST" if memmem::find(path.as_bytes(), b"/conversations").is_some() => Route::Messages,
            "GET" if path.ends_with("/api/v2/users/me") => Route::Me,
            "GET" => match path.split_once("/api/v2/organizations/limits/namespaces/") {
                Some(("", rest)) => Route::Limits(rest.strip_suffix("/defaults").unwrap_or(rest)),
                _ => Route::Unknown,
            },
            _ => Route::Unknown,
        }
    }
}

/// The simulator's routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    /// Takes messages.
    Messages,
    /// The user of the token.
    Me,
    /// The limits of a namespace.
    Limits(&'a str),
    /// 404.
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_and_conversations() {
        let cases = [
            ("POST", "/api/v2/messaging/conversations/c-1/messages", Route::Messages, Some("c-1")),
            (
                "POST",
                "/api/v2/messaging/conversations/a%2Fb/messages?x=/conversations/q",
                Route::Messages,
                Some("a%2Fb"),
            ),
            ("POST", "/v2/conversations/messages", Route::Messages, None),
            ("POST", "/api/v2/conversations/messages/i-1/inbound/open/message", Route::Messages, None),
            ("POST", "/api/v2/conversations/messages/c-2/communications/x/messages", Route::Messages, None),
            ("POST", "/api/v2/conversations/messages/agentless", Route::Messages, None),
            ("GET", "/api/v2/users/me", Route::Me, None),
            ("GET", "/api/v2/organizations/limits/namespaces/platform.api", Route::Limits("platform.api"), None),
            ("GET", "/api/v2/organizations/limits/namespaces/messaging/defaults", Route::Limits("messaging"), None),
            ("GET", "/api/v2/conversations/c-1", Route::Unknown, Some("c-1")),
            ("POST", "/api/v2/users/me", Route::Unknown, None),
            ("GET", "/", Route::Unknown, None),
        ];
        for (method, path, route, conversation) in cases {
            let request = Request { method, path, ..Request::default() };
            assert_eq!(request.route(), route, "{method} {path}");
            assert_eq!(request.conversation_segment(), conversation, "{method} {path}");
        }
    }

    #[test]
    fn token_requests() {
        let is = |path| Request { path, ..Request::default() }.is_token_request();
        assert!(is("/oauth/token") && is("/oauth/token?x=1") && is("/login/oauth/token"));
        assert!(!is("/oauth/token/x") && !is("/api/v2/users/me"));
    }
}
