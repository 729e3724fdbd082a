//! A connection to the node that has the data: logged in, with the script loaded and a way for what is published.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, ErrorKind, ProtocolVersion, PushInfo, PushKind, RedisConnectionInfo, RedisError, Value, cmd,
    pipe,
};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::script;
use super::stream::{self, Stream};
use crate::settings::{Login, Node, RedisUrl, Topology};

/// For name, TCP, TLS, login and script together; longer than a packet that is sent again takes.
const OPEN_MAX: Duration = Duration::from_secs(2);
/// For an answer. Less than a lease lasts, so that a connection on which nothing comes back is replaced within it.
const ANSWER_MAX: Duration = Duration::from_millis(1_500);
/// For a Sentinel's answer: there are others.
const SENTINEL_MAX: Duration = Duration::from_secs(1);

/// A connection that is ready for renewals.
#[derive(Debug)]
pub(super) struct Connection {
    redis: MultiplexedConnection,
    digest: String,
    driver: Arc<Driver>,
}

/// The task that reads and writes a connection; it ends with the last who needs it.
#[derive(Debug)]
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What one call of the script is given.
pub(super) struct Call {
    /// The organization's key.
    pub(super) key: String,
    /// Everything else.
    pub(super) arguments: Vec<Vec<u8>>,
    /// Whether the key is on its way to this node: a cluster's resharding.
    pub(super) asking: bool,
}

/// What comes without being asked for.
#[derive(Debug)]
pub(super) enum Push {
    /// Somebody published this.
    Message { channel: Vec<u8>, payload: Vec<u8> },
    /// The connection is over.
    Closed,
}

impl Connection {
    /// Connects to where the URL leads.
    pub(super) async fn open(url: &RedisUrl, seed: usize, pushes: impl Fn(Push) + Send + Sync + 'static) -> Opened {
        let opening = async {
            let node = match &url.topology {
                Topology::Sentinel { primary } => primary_of(url, primary).await?,
                // A node of a cluster leads to the others; so the next one is tried when one is gone.
                Topology::Single | Topology::Cluster => url.nodes[seed % url.nodes.len()].clone(),
            };
            Self::log_in(url, &node, pushes).await
        };
        timeout(OPEN_MAX, opening).await.unwrap_or_else(|_| Err(timed_out()))
    }

    /// Connects to a node that another one has named.
    pub(super) async fn open_node(
        url: &RedisUrl,
        node: &Node,
        pushes: impl Fn(Push) + Send + Sync + 'static,
    ) -> Opened {
        timeout(OPEN_MAX, Self::log_in(url, node, pushes)).await.unwrap_or_else(|_| Err(timed_out()))
    }

    async fn log_in(url: &RedisUrl, node: &Node, pushes: impl Fn(Push) + Send + Sync + 'static) -> Opened {
        let stream = stream::open(node, url.tls).await?;
        let info = who(&url.login).set_db(i64::from(url.database));
        let forward = move |info: PushInfo| -> Result<(), ()> {
            if let Some(push) = read_push(info) {
                pushes(push);
            }
            Ok(())
        };
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(ANSWER_MAX)).set_push_sender(forward);
        let (mut redis, driver) = start(&info, stream, config).await?;
        let digest = load(&mut redis).await?;
        Ok(Self { redis, digest, driver: Arc::new(driver) })
    }

    /// A handle for the calls of one moment.
    pub(super) fn calls(&self) -> Calls {
        debug_assert!(!self.digest.is_empty(), "the script is loaded");
        Calls { redis: self.redis.clone(), digest: self.digest.clone(), _driver: Arc::clone(&self.driver) }
    }
}

/// What came of opening one.
pub(super) type Opened = Result<Connection, RedisError>;

/// Sends calls on a connection that may close meanwhile.
#[derive(Clone)]
pub(super) struct Calls {
    redis: MultiplexedConnection,
    digest: String,
    _driver: Arc<Driver>,
}

impl Calls {
    /// All in one pipeline; an answer for each call. One that the server has refused is a [`Value::ServerError`].
    pub(super) async fn run(&mut self, calls: &[Call]) -> Result<Vec<Value>, RedisError> {
        let mut answers = self.send(calls.iter()).await?;
        let forgotten: Vec<usize> = (0..calls.len()).filter(|index| is_forgotten(&answers[*index])).collect();
        if !forgotten.is_empty() {
            // A restart or SCRIPT FLUSH. None of these has run.
            load(&mut self.redis).await?;
            let again = self.send(forgotten.iter().map(|index| &calls[*index])).await?;
            for (index, answer) in forgotten.into_iter().zip(again) {
                answers[index] = answer;
            }
        }
        Ok(answers)
    }

    async fn send(&mut self, calls: impl Iterator<Item = &Call>) -> Result<Vec<Value>, RedisError> {
        let (mut pipeline, mut wanted) = (pipe(), Vec::new());
        for call in calls {
            if call.asking {
                pipeline.cmd("ASKING");
            }
            wanted.push(pipeline.len());
            pipeline.cmd("EVALSHA").arg(&self.digest).arg(1).arg(&call.key).arg(&call.arguments);
        }
        let answers = self.redis.send_packed_commands(&pipeline, 0, pipeline.len()).await?;
        if answers.len() != pipeline.len() {
            return Err((ErrorKind::UnexpectedReturnType, "another number of answers than of questions").into());
        }
        let mut answers: Vec<Option<Value>> = answers.into_iter().map(Some).collect();
        Ok(wanted.into_iter().filter_map(|index| answers[index].take()).collect())
    }

    /// The server's time, and all fields of a key.
    pub(super) async fn state(&mut self, key: &str) -> Result<(Value, Value), RedisError> {
        let mut pipeline = pipe();
        pipeline.cmd("TIME").cmd("HGETALL").arg(key);
        let mut answers = self.redis.send_packed_commands(&pipeline, 0, 2).await?.into_iter();
        match (answers.next(), answers.next()) {
            (Some(time), Some(fields)) => Ok((time, fields)),
            _ => Err((ErrorKind::UnexpectedReturnType, "fewer answers than questions").into()),
        }
    }

    /// Hears what is published on these channels from now on.
    pub(super) async fn subscribe(&mut self, channels: &[String]) -> Result<(), RedisError> {
        for channel in channels {
            self.redis.subscribe(channel).await?;
        }
        Ok(())
    }

    /// No longer.
    pub(super) async fn unsubscribe(&mut self, channel: &str) -> Result<(), RedisError> {
        self.redis.unsubscribe(channel).await
    }
}

fn is_forgotten(answer: &Value) -> bool {
    matches!(answer, Value::ServerError(error) if error.code() == "NOSCRIPT")
}

async fn load(redis: &mut MultiplexedConnection) -> Result<String, RedisError> {
    cmd("SCRIPT").arg("LOAD").arg(script::SOURCE).query_async(redis).await
}

async fn start(
    info: &RedisConnectionInfo,
    stream: Box<dyn Stream>,
    config: AsyncConnectionConfig,
) -> Result<(MultiplexedConnection, Driver), RedisError> {
    let (redis, driver) = MultiplexedConnection::new_with_config(info, stream, config).await?;
    Ok((redis, Driver(tokio::spawn(driver))))
}

fn who(login: &Login) -> RedisConnectionInfo {
    // CLIENT SETINFO would be one more command that an ACL has to allow.
    let mut info = RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3).set_skip_set_lib_name();
    if let Some(username) = &login.username {
        info = info.set_username(username);
    }
    if let Some(password) = &login.password {
        info = info.set_password(password);
    }
    info
}

/// Asks one Sentinel after the other where the primary is.
async fn primary_of(url: &RedisUrl, name: &str) -> Result<Node, RedisError> {
    let mut last = RedisError::from((ErrorKind::MasterNameNotFoundBySentinel, "no Sentinel knows the primary"));
    for sentinel in &url.nodes {
        match timeout(SENTINEL_MAX, ask_sentinel(url, sentinel, name)).await {
            Ok(Ok(node)) => return Ok(node),
            Ok(Err(error)) => last = error,
            Err(_) => last = timed_out(),
        }
    }
    Err(last)
}

async fn ask_sentinel(url: &RedisUrl, sentinel: &Node, name: &str) -> Result<Node, RedisError> {
    let stream = stream::open(sentinel, url.tls).await?;
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(SENTINEL_MAX));
    let (mut redis, _driver) = start(&who(&url.sentinel_login), stream, config).await?;
    let place: Option<(String, u16)> =
        cmd("SENTINEL").arg("get-master-addr-by-name").arg(name).query_async(&mut redis).await?;
    let Some((host, port)) = place else {
        return Err((ErrorKind::MasterNameNotFoundBySentinel, "the Sentinel doesn't know the primary").into());
    };
    Ok(Node { host, port })
}

fn read_push(info: PushInfo) -> Option<Push> {
    match info.kind {
        PushKind::Disconnection => Some(Push::Closed),
        PushKind::Message => {
            let mut data = info.data.into_iter();
            match (data.next(), data.next()) {
                (Some(Value::BulkString(channel)), Some(Value::BulkString(payload))) => {
                    Some(Push::Message { channel, payload })
                }
                _ => None,
            }
        }
        _ => None,
    }
}

fn timed_out() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}
