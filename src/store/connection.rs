//! One connection to a store, whatever kind of store it is.

use super::settings::{Sentinel, Servers, Settings};
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::sentinel::{SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, Cmd, ConnectionAddr, ConnectionInfo,
    IntoConnectionInfo, RedisConnectionInfo, RedisResult, TlsCertificates, TlsMode, Value,
};

/// A connection that many calls use at once: what they send is pipelined, and what one of them gave
/// up waiting for holds no other back for longer than the server takes.
#[derive(Clone)]
pub enum Connection {
    /// To one server.
    One(MultiplexedConnection),
    /// To the nodes of a cluster.
    Cluster(ClusterConnection),
}

impl Connection {
    /// Connects. Whoever is asked for the master of a set of replicas is asked anew, so that a
    /// failover is followed by the next connection.
    ///
    /// # Errors
    ///
    /// Nobody answers within [`Settings::connect_timeout`], or who asks is not let in.
    pub async fn open(settings: &Settings) -> RedisResult<Self> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(settings.connect_timeout))
            // Each call keeps its own time.
            .set_response_timeout(None);
        match &settings.servers {
            Servers::One(host, port) => {
                let info = settings.info(host, *port)?;
                let client = match settings.certificates() {
                    Some(certificates) => Client::build_with_tls(info, certificates)?,
                    None => Client::open(info)?,
                };
                let connection = client.get_multiplexed_async_connection_with_config(&config);
                connection.await.map(Connection::One)
            }
            Servers::Sentinel(sentinel) => {
                let mut client = settings.sentinels(sentinel)?;
                let connection = client.get_async_connection_with_config(&config).await?;
                Ok(Connection::One(connection))
            }
            Servers::Cluster(nodes) => {
                let infos = nodes.iter().map(|(host, port)| settings.info(host, *port));
                let infos: Vec<ConnectionInfo> = infos.collect::<RedisResult<_>>()?;
                let mut builder = ClusterClientBuilder::new(infos)
                    .connection_timeout(settings.connect_timeout)
                    .response_timeout(settings.connect_timeout)
                    // What has to be asked elsewhere is, and a node that is gone is looked for; what
                    // waits for that is over by its own time.
                    .retries(3);
                if let Some(certificates) = settings.certificates() {
                    builder = builder.tls(TlsMode::Secure).certs(certificates);
                }
                builder.build()?.get_async_connection().await.map(Connection::Cluster)
            }
        }
    }

    /// Sends a command and waits for its answer.
    ///
    /// # Errors
    ///
    /// The server refuses, or cannot be reached.
    pub async fn send(&mut self, command: &Cmd) -> RedisResult<Value> {
        let answer = match self {
            Connection::One(one) => one.req_packed_command(command).await,
            Connection::Cluster(cluster) => cluster.req_packed_command(command).await,
        };
        // To the client, the server's own errors are answers too.
        answer.and_then(Value::extract_error)
    }
}

impl Settings {
    fn info(&self, host: &str, port: u16) -> RedisResult<ConnectionInfo> {
        let mut redis = RedisConnectionInfo::default().set_db(self.database.into());
        if let Some(username) = &self.username {
            redis = redis.set_username(username);
        }
        if let Some(password) = &self.password {
            redis = redis.set_password(password.reveal());
        }
        Ok(self.address(host, port).into_connection_info()?.set_redis_settings(redis))
    }

    fn address(&self, host: &str, port: u16) -> ConnectionAddr {
        match self.tls {
            None => ConnectionAddr::Tcp(host.to_owned(), port),
            Some(_) => ConnectionAddr::TcpTls {
                host: host.to_owned(),
                port,
                insecure: false,
                tls_params: None,
            },
        }
    }

    fn certificates(&self) -> Option<TlsCertificates> {
        self.tls.as_ref().map(|tls| TlsCertificates {
            client_tls: tls.client.as_ref().map(|(chain, key)| ClientTlsConfig {
                client_cert: chain.clone(),
                client_key: key.to_vec(),
            }),
            root_cert: tls.ca.clone(),
        })
    }

    fn sentinels(&self, sentinel: &Sentinel) -> RedisResult<redis::sentinel::SentinelClient> {
        let nodes = sentinel.nodes.iter().map(|(host, port)| self.address(host, *port));
        let master = SentinelServerType::Master;
        let mut builder = SentinelClientBuilder::new(nodes, &sentinel.master, master)?
            .set_client_to_redis_db(self.database.into());
        if let Some(username) = &self.username {
            builder = builder.set_client_to_redis_username(username);
        }
        if let Some(password) = &self.password {
            builder = builder.set_client_to_redis_password(password.reveal());
        }
        if let Some(username) = &sentinel.username {
            builder = builder.set_client_to_sentinel_username(username);
        }
        if let Some(password) = &sentinel.password {
            builder = builder.set_client_to_sentinel_password(password.reveal());
        }
        if let Some(certificates) = self.certificates() {
            builder = builder
                .set_client_to_redis_tls_mode(TlsMode::Secure)
                .set_client_to_redis_certificates(certificates.clone())
                .set_client_to_sentinel_tls_mode(TlsMode::Secure)
                .set_client_to_sentinel_certificates(certificates);
        }
        builder.build()
    }
}
