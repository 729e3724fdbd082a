#![allow(clippy::unwrap_used)]

use super::*;

/// serde would read an enum from an object, too.
const HEADERS: &str = r#"headers must be one of 'x', 'inin', 'ietf', 'ietf-legacy', 'none', got {"x":null}"#;

fn error(json: &str) -> (String, String) {
    let error = Config::from_json(json).unwrap_err();
    (error.field, error.message)
}

#[test]
fn defaults() {
    for config in [Config::default(), Config::from_json("{}").unwrap(), Config::from_json(r#"{"quota":null}"#).unwrap()]
    {
        assert_eq!((config.port, config.host.to_string().as_str(), config.seed), (0, "127.0.0.1", 1));
        assert!(config.quotas.is_empty() && config.token_quotas.is_empty() && config.faults.is_empty());
        assert_eq!((config.headers, config.reset_format), (HeaderFamily::X, ResetFormat::Seconds));
        assert_eq!((config.retry_after, config.retry_after_text), (RetryAfter::Right, true));
        assert_eq!((config.latency, config.arrival, config.slow_us), (Span::default(), None, 30_000_000));
        assert_eq!((config.token_life_us, config.max_body_bytes), (86_400_000_000, 512_000));
        assert!(config.auth_required && !config.refuse);
        assert_eq!((config.credentials, config.others, config.tls), (None, None, None));
    }
}

#[test]
fn everything_at_once() {
    let config = Config::from_json(
        r#"{"port":8080,"host":"::1","seed":7,"quota":[{"requests":100,"perMs":1000},{"requests":3000,"perMs":60000,
        "algorithm":"sliding-log"}],"tokenQuota":{"requests":300,"perMs":60000,"algorithm":"token-bucket"},
        "headers":"ietf","resetFormat":"unix","retryAfter":"date","retryAfterText":true,"latencyMs":{"min":20,"max":60.5},
        "arrivalMs":1,"faults":{"cutBefore":0.01,"slow":0.5,"slowMs":10},"script":[{"request":2,"status":418,"body":"x"}],
        "refuse":true,"tokenLifeMs":5000,"credentials":{"clientId":"i","clientSecret":"s"},"authRequired":false,
        "tokenThrottle":{"requests":1,"perMs":10},"tokenFault":"cut","maxBodyBytes":10,"poisonText":"p",
        "arrayAnswer":"list","others":{"requests":5,"perMs":100,"burst":2},"tls":{"cert":"c","key":"k"}}"#,
    )
    .unwrap();
    let second = Quota { requests: 100, per_us: 1_000_000, algorithm: Algorithm::FixedWindow, limit: None };
    let minute = Quota { requests: 3_000, per_us: 60_000_000, algorithm: Algorithm::SlidingLog, limit: None };
    assert_eq!(config.quotas, [second, minute]);
    assert_eq!(config.token_quotas[0].algorithm, Algorithm::TokenBucket);
    assert_eq!(config.latency, Span { min_us: 20_000, max_us: 60_500 });
    assert_eq!(config.arrival, Some(Span { min_us: 1_000, max_us: 1_000 }));
    assert_eq!(config.faults, [(Fault::CutBefore, 0.01), (Fault::Slow, 0.5)]);
    assert_eq!((config.slow_us, config.script[&2].answer.status), (10_000, Some(418)));
    assert_eq!(config.others, Some(Others { requests: 5, per_us: 100_000, burst: 2 }));
    let text = format!("{config:?}");
    assert!(!text.contains("secret: \"s\""), "{text}");
}

#[test]
fn errors_name_field_value_and_what_is_allowed() {
    let cases = [
        ("[]", "", "the simulator's options must be an object, got []"),
        (r#"{"port":65536}"#, "port", "port must be an integer from 0 to 65535, got 65536"),
        (r#"{"port":-1}"#, "port", "port must be an integer from 0 to 65535, got -1"),
        (r#"{"port":{"$js":"NaN"}}"#, "port", "port must be an integer from 0 to 65535, got NaN"),
        (r#"{"seed":1.5}"#, "seed", "seed must be an integer from 0 to 9007199254740991, got 1.5"),
        (r#"{"host":"example.org"}"#, "host", r#"host must be an IP address or 'localhost', got "example.org""#),
        (r#"{"host":5}"#, "host", "host must be a string, got 5"),
        (r#"{"quota":7}"#, "quota", "quota must be { requests, perMs, algorithm }, a list of them, or null, got 7"),
        (
            r#"{"quota":{"requests":"ten","perMs":1}}"#,
            "quota.requests",
            r#"quota.requests must be an integer from 1 to 1000000, got "ten""#,
        ),
        (
            r#"{"quota":[{"requests":1,"perMs":1},{"requests":0,"perMs":1}]}"#,
            "quota[1].requests",
            "quota[1].requests must be an integer from 1 to 1000000, got 0",
        ),
        (r#"{"quota":{"requests":1}}"#, "quota.perMs", "quota.perMs is required, got nothing"),
        (
            r#"{"quota":{"requests":1,"perMs":1,"per":2}}"#,
            "quota.per",
            "quota.per is not an option; known are requests, perMs, algorithm, limitKey, namespace",
        ),
        (
            r#"{"tokenQuota":{"requests":1,"perMs":1,"algorithm":"leaky"}}"#,
            "tokenQuota.algorithm",
            r#"tokenQuota.algorithm must be one of 'fixed-window', 'opened-window', 'sliding-log', 'token-bucket', got "leaky""#,
        ),
        (r#"{"resetFormat":5}"#, "resetFormat", "resetFormat must be 'seconds' or 'unix', got 5"),
        (r#"{"headers":{"x":null}}"#, "headers", HEADERS),
        (r#"{"headers":true}"#, "headers", &HEADERS.replace(r#"{"x":null}"#, "true")),
        (
            r#"{"latencyMs":"fast"}"#,
            "latencyMs",
            r#"latencyMs must be a number of milliseconds from 0 to 600000, or { min, max }, got "fast""#,
        ),
        (r#"{"latencyMs":{"min":5,"max":4}}"#, "latencyMs", "latencyMs must be a range with min ≤ max, got 5 > 4"),
        (
            r#"{"latencyMs":{"min":-5,"max":4}}"#,
            "latencyMs.min",
            "latencyMs.min must be a number from 0 to 600000, got -5",
        ),
        (r#"{"faults":{"slow":1.5}}"#, "faults.slow", "faults.slow must be a number from 0 to 1, got 1.5"),
        (
            r#"{"faults":{"slow":0.75,"cutAfter":0.5}}"#,
            "faults",
            "faults must be probabilities with a sum of at most 1, got 1.25",
        ),
        (
            r#"{"script":[{"request":1}]}"#,
            "script[0]",
            "script[0] must be a line with a fault, a status, headers or a body, got none of them",
        ),
        (
            r#"{"script":[{"request":1,"status":400},{"request":1,"status":401}]}"#,
            "script[1].request",
            "script[1].request must be a number that no other line has, got 1",
        ),
        (
            r#"{"script":[{"request":1,"fault":"slow","accepted":true}]}"#,
            "script[0].accepted",
            "script[0].accepted must be given together with a status, got none",
        ),
        (
            r#"{"script":[{"request":1,"headers":{"a b":"x"}}]}"#,
            "script[0].headers.a b",
            r#"script[0].headers.a b must be a header's name, got "a b""#,
        ),
        (
            r#"{"routes":[{"path":"/","headers":{"content-length":"1"}}]}"#,
            "routes[0].headers.content-length",
            r#"routes[0].headers.content-length must be left to the simulator, got "1""#,
        ),
        (
            r#"{"routes":[{"path":"/","headers":{"x":"\u0001"}}]}"#,
            "routes[0].headers.x",
            r#"routes[0].headers.x must be a text without control characters, got "\u0001""#,
        ),
        (
            r#"{"routes":[{"path":"/","headers":{"x":1}}]}"#,
            "routes[0].headers.x",
            "routes[0].headers.x must be a string, got 1",
        ),
        (
            r#"{"routes":[{"path":"/","headers":["x"]}]}"#,
            "routes[0].headers",
            r#"routes[0].headers must be an object, got ["x"]"#,
        ),
        (
            r#"{"routes":[{"path":"api"}]}"#,
            "routes[0].path",
            r#"routes[0].path must be a path like '/api/v2/users/{id}', '/api/v2/users/*' or '/api/v2/**', got "api""#,
        ),
        (r#"{"routes":[{"status":200}]}"#, "routes[0].path", "routes[0].path is required, got nothing"),
        (
            r#"{"routes":[{"path":"/","method":"a b"}]}"#,
            "routes[0].method",
            r#"routes[0].method must be an HTTP method, got "a b""#,
        ),
        (
            r#"{"routes":[{"path":"/","quota":{"requests":0,"perMs":1}}]}"#,
            "routes[0].quota.requests",
            "routes[0].quota.requests must be an integer from 1 to 1000000, got 0",
        ),
        (
            r#"{"outages":[{"kind":"dns"}]}"#,
            "outages[0].kind",
            "outages[0].kind must be one of 'refused', 'reset', 'tls', 'status', 'html', 'hang', got \"dns\"",
        ),
        (
            r#"{"outages":[{"kind":"tls"}]}"#,
            "outages[0].kind",
            r#"outages[0].kind must be another kind, since tls is not set, got "tls""#,
        ),
        (
            r#"{"outages":[{"kind":"hang","status":503}]}"#,
            "outages[0].status",
            "outages[0].status must be absent with this kind, got a value",
        ),
        (
            r#"{"outages":[{"kind":"refused","target":"login"}]}"#,
            "outages[0].target",
            "outages[0].target must be absent with this kind, got a value",
        ),
        (
            r#"{"outages":[{"kind":"html","forMs":0}]}"#,
            "outages[0].forMs",
            "outages[0].forMs must be an integer from 1 to 604800000, got 0",
        ),
        (r#"{"refuse":"yes"}"#, "refuse", r#"refuse must be a boolean, got "yes""#),
        (
            r#"{"credentials":{"clientId":"a","clientSecret":12345}}"#,
            "credentials.clientSecret",
            "credentials.clientSecret must be a string, got a number",
        ),
        (r#"{"quota":[[1,1]]}"#, "quota[0]", "quota[0] must be an object, got [1,1]"),
        (r#"{"others":[1,1]}"#, "others", "others must be an object, got [1,1]"),
        (r#"{"script":{}}"#, "script", "script must be a list, got {}"),
        (r#"{"credentials":"hush"}"#, "credentials", "credentials must be an object, got a string"),
    ];
    for (json, field, message) in cases {
        assert_eq!(error(json), (field.to_owned(), message.to_owned()), "{json}");
    }
    let (field, message) = error(r#"{"quotas":1}"#);
    assert_eq!(field, "quotas");
    assert!(
        message.starts_with("quotas is not an option; known are port, host, seed, quota, tokenQuota,"),
        "{message}"
    );
    assert!(error("{").1.starts_with("the simulator's options must be JSON, got "));
}

#[test]
fn long_values_are_shortened() {
    let json = format!(r#"{{"headers":"{}"}}"#, "é".repeat(500));
    assert!(error(&json).1.len() < 300);
}

#[test]
fn merging_field_by_field() {
    let start = r#"{"seed":3,"quota":{"requests":10,"perMs":1000},"faults":{"slow":0.1,"slowMs":5},"headers":"inin"}"#;
    let start = Config::from_json(start).unwrap();
    let later =
        start.merge(r#"{"quota":{"requests":50},"faults":{"status503":0.2,"slow":null},"refuse":true}"#).unwrap();
    assert_eq!((later.quotas[0].requests, later.quotas[0].per_us), (50, 1_000_000));
    assert_eq!(later.faults, [(Fault::Status503, 0.2)]);
    assert_eq!((later.slow_us, later.headers, later.refuse, later.seed), (5_000, HeaderFamily::Inin, true, 3));

    let cleared = later.merge(r#"{"quota":null,"headers":null,"faults":null}"#).unwrap();
    assert!(cleared.quotas.is_empty() && cleared.faults.is_empty());
    assert_eq!((cleared.headers, cleared.refuse), (HeaderFamily::X, true));

    let list = start.merge(r#"{"quota":[{"requests":1,"perMs":1},{"requests":2,"perMs":2}]}"#).unwrap();
    assert_eq!(list.quotas.len(), 2);

    assert_eq!(start.merge(r#"{"quota":{"requests":0}}"#).unwrap_err().field, "quota.requests");
    assert_eq!(start.merge("null").unwrap_err().field, "");
}

#[test]
fn what_is_fixed_at_the_start() {
    let start = Config::from_json(r#"{"seed":3}"#).unwrap();
    for json in [r#"{"port":1}"#, r#"{"seed":4}"#, r#"{"host":"::1"}"#, r#"{"tls":{"cert":"","key":""}}"#] {
        assert!(start.merge(json).unwrap_err().message.contains("not while the simulator runs"), "{json}");
    }
    assert!(start.merge(r#"{"seed":3,"port":null}"#).is_ok());
}
