//! The harness: the real gateway, real origins and clients that send exact bytes.

mod client;
mod consul;
mod dns;
mod gateway;
mod h2;
mod jwks;
mod metrics;
mod oidc;
mod origin;
mod port;
mod redis;
mod streams;
mod tls;
mod tokens;
mod wait;
mod websocket;
mod wire;

pub use client::{Client, Response};
pub use consul::{Consul, Member};
pub use dns::NameServer;
pub use gateway::{Gateway, ONE_SERVICE, Setup, check, gateway_command};
pub use h2::{H2Client, H2Origin};
pub use jwks::{Behaviour, Document, Issuer};
pub use oidc::Provider;
pub use origin::{Call, Origin, Seen};
pub use port::Port;
pub use redis::Redis;
pub use streams::{StreamCall, StreamOrigin, framed, message, went};
pub use tls::Authority;
pub use tokens::{Key, Keys, encode, forge, now, signed, token};
pub use wait::{eventually, within};
pub use websocket::{WebSocketOrigin, open_websocket};
