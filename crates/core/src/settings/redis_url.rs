//! Where a Redis or Valkey is: one server, what Sentinels watch, or a cluster.
//!
//! - `redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]`
//! - `redis+sentinel://[USER:PASSWORD@]HOST[:PORT],…/MASTER[/DATABASE]`
//! - `redis+cluster://[USER:PASSWORD@]HOST[:PORT],…`
//!
//! Each with `rediss` in place of `redis` for TLS. User and password stand in the URL, percent-encoded, or in the
//! environment; neither is ever shown.

use std::env;
use std::fmt;

use percent_encoding::percent_decode_str;

/// What names the user where the URL doesn't.
pub const USERNAME_VARIABLE: &str = "SPILLWAY_REDIS_USERNAME";
/// What has the password where the URL doesn't.
pub const PASSWORD_VARIABLE: &str = "SPILLWAY_REDIS_PASSWORD";

/// The same for Sentinels, which have a login of their own, if any.
pub(super) const SENTINEL_USERNAME_VARIABLE: &str = "SPILLWAY_REDIS_SENTINEL_USERNAME";
/// The same for Sentinels.
pub(super) const SENTINEL_PASSWORD_VARIABLE: &str = "SPILLWAY_REDIS_SENTINEL_PASSWORD";

const PORT: u16 = 6_379;
const SENTINEL_PORT: u16 = 26_379;
const DATABASE_MAX: u16 = 1_023;
/// Nodes that are named; a cluster tells the others itself.
const NODES_MAX: usize = 32;

/// Where a Redis or Valkey is, and who logs in there.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RedisUrl {
    /// Which of the nodes has the data.
    pub topology: Topology,
    /// Whether connections are encrypted.
    pub tls: bool,
    /// The servers, Sentinels, or some of the cluster's nodes; at least one.
    pub nodes: Vec<Node>,
    /// The database's number.
    pub database: u16,
    /// Who logs in.
    pub login: Login,
    /// Who logs in at the Sentinels.
    pub sentinel_login: Login,
}

/// Which of the nodes has the data.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Topology {
    /// The one there is.
    Single,
    /// The nodes are Sentinels: they say where this primary is.
    Sentinel {
        /// The name that the Sentinels have for it.
        primary: String,
    },
    /// The one whose part of the cluster the key is in.
    Cluster,
}

/// A host name or address, and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node {
    /// Without the brackets of an IPv6 address.
    pub host: String,
    /// TCP.
    pub port: u16,
}

/// Who logs in.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Login {
    /// The ACL user; Redis has one named `default`.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<String>,
}

impl RedisUrl {
    /// What is allowed, for errors.
    pub const RULE: &str = "\"redis://HOST:PORT\", \"redis+sentinel://HOST:PORT,HOST:PORT/MASTER\" or \
        \"redis+cluster://HOST:PORT,HOST:PORT\", with \"rediss\" in place of \"redis\" for TLS, \"USER:PASSWORD@\" \
        (percent-encoded) in front of the hosts and, except for a cluster, a database number from 0 to 1023 behind them";

    /// Reads a URL. What is missing of the login comes from the environment. `None` if it isn't as [`Self::RULE`] says.
    pub fn parse(text: &str) -> Option<Self> {
        Self::parse_with(text, |name| env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn parse_with(text: &str, variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let (base, kind) = scheme.split_once('+').unwrap_or((scheme, ""));
        let tls = match base {
            "redis" => false,
            "rediss" => true,
            _ => return None,
        };
        if rest.contains(['?', '#']) || rest.contains(|char: char| char.is_whitespace() || char.is_control()) {
            return None;
        }
        let (place, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, hosts) = match place.rsplit_once('@') {
            Some((login, hosts)) => (Login::parse(login)?, hosts),
            None => (Login::default(), place),
        };
        let (topology, database) = match kind {
            "" => (Topology::Single, path),
            "cluster" => (Topology::Cluster, path),
            "sentinel" => {
                let (primary, database) = path.split_once('/').unwrap_or((path, ""));
                let primary = decoded(primary).filter(|name| !name.is_empty())?;
                (Topology::Sentinel { primary }, database)
            }
            _ => return None,
        };
        let port = if kind == "sentinel" { SENTINEL_PORT } else { PORT };
        let nodes = hosts.split(',').map(|node| Node::parse(node, port)).collect::<Option<Vec<_>>>()?;
        if nodes.len() > NODES_MAX || (topology == Topology::Single && nodes.len() > 1) {
            return None;
        }
        let database = match database {
            "" => 0,
            digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok()?,
            _ => return None,
        };
        if database > DATABASE_MAX || (topology == Topology::Cluster && database != 0) {
            return None;
        }
        let sentinel_login =
            Login { username: variable(SENTINEL_USERNAME_VARIABLE), password: variable(SENTINEL_PASSWORD_VARIABLE) };
        Some(Self { topology, tls, nodes, database, login: login.or(variable), sentinel_login })
    }

    /// Whether the other one is the same place, whoever logs in.
    pub fn is_same_place(&self, other: &Self) -> bool {
        let place = |url: &Self| (url.topology.clone(), url.tls, url.nodes.clone(), url.database);
        place(self) == place(other)
    }
}

impl Login {
    /// `USER:PASSWORD`, `USER`, `:PASSWORD`.
    fn parse(text: &str) -> Option<Self> {
        let (username, password) = text.split_once(':').unwrap_or((text, ""));
        let some = |text: &str| decoded(text).map(|text| Some(text).filter(|text| !text.is_empty()));
        Some(Self { username: some(username)?, password: some(password)? })
    }

    fn or(self, variable: impl Fn(&str) -> Option<String>) -> Self {
        // A password that the URL has belongs to the URL's user.
        let username =
            if self.password.is_some() { self.username } else { self.username.or_else(|| variable(USERNAME_VARIABLE)) };
        Self { username, password: self.password.or_else(|| variable(PASSWORD_VARIABLE)) }
    }
}

impl Node {
    pub(crate) fn parse(text: &str, default_port: u16) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']')?;
                host.parse::<std::net::Ipv6Addr>().ok()?;
                (host, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
            }
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let is_plain = |char: char| char.is_ascii_alphanumeric() || "-._:".contains(char);
        if host.is_empty() || host.len() > 253 || !host.chars().all(is_plain) {
            return None;
        }
        let port = match port {
            None => default_port,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().ok().filter(|port| *port > 0)?
            }
            Some(_) => return None,
        };
        Some(Self { host: host.to_owned(), port })
    }
}

fn decoded(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(|text| text.into_owned())
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Without the login.
impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.tls { "rediss" } else { "redis" })?;
        f.write_str(match self.topology {
            Topology::Single => "",
            Topology::Sentinel { .. } => "+sentinel",
            Topology::Cluster => "+cluster",
        })?;
        for (index, node) in self.nodes.iter().enumerate() {
            write!(f, "{}{node}", if index == 0 { "://" } else { "," })?;
        }
        if let Topology::Sentinel { primary } = &self.topology {
            write!(f, "/{primary}")?;
        }
        if self.database != 0 {
            write!(f, "/{}", self.database)?;
        }
        Ok(())
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisUrl({self})")
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(secret)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says what it expects by unwrapping it")]
    use super::*;

    fn parse(text: &str) -> Option<RedisUrl> {
        RedisUrl::parse_with(text, |_| None)
    }

    #[test]
    fn a_url_is_shown_without_its_login() {
        for (text, shown) in [
            ("redis://localhost", "redis://localhost:6379"),
            ("rediss://u:p@cache.internal:6380/3", "rediss://cache.internal:6380/3"),
            ("redis://:p%40ss@10.0.0.1", "redis://10.0.0.1:6379"),
            ("redis://[::1]:7000/0", "redis://[::1]:7000"),
            ("redis+sentinel://a,b:26380/main", "redis+sentinel://a:26379,b:26380/main"),
            ("rediss+sentinel://u:p@a/main/2", "rediss+sentinel://a:26379/main/2"),
            ("redis+cluster://a:1,b:2,c:3", "redis+cluster://a:1,b:2,c:3"),
        ] {
            let url = parse(text).unwrap();
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), format!("RedisUrl({shown})"));
        }
    }

    #[test]
    fn what_is_no_such_url_is_refused() {
        for text in [
            "",
            "redis",
            "redis:",
            "redis://",
            "http://host",
            "redis://host:0",
            "redis://host:65536",
            "redis://host:+1",
            "redis://a,b",
            "redis://host/x",
            "redis://host/1024",
            "redis://host/-1",
            "redis://host/0/0",
            "redis://host?tls=1",
            "redis://host#0",
            "redis://ho st",
            "redis://[::1",
            "redis://[host]",
            "redis://%FF@host",
            "redis+sentinel://host",
            "redis+sentinel://host/",
            "redis+cluster://host/1",
            "redis+cluster://a,,b",
            "redis+tls://host",
            "REDIS+x://host",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_environment_has_what_the_url_has_not() {
        let login = |text| {
            let url = RedisUrl::parse_with(text, |name| Some(format!("${name}"))).unwrap();
            (url.login.username, url.login.password)
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(login("redis://h"), (some("$SPILLWAY_REDIS_USERNAME"), some("$SPILLWAY_REDIS_PASSWORD")));
        assert_eq!(login("redis://ann@h"), (some("ann"), some("$SPILLWAY_REDIS_PASSWORD")));
        assert_eq!(login("redis://ann:p%2Fw@h"), (some("ann"), some("p/w")));
        assert_eq!(login("redis://:p@h"), (None, some("p")), "the password's user is the default one");
    }
}
