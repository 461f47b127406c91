//! An API gateway on Pingora: one YAML file, one process, one thread per core.
//!
//! The modules stand here in reading order: each uses only those before it.

pub mod version;

pub mod lock;

pub mod value;

pub mod telemetry;

pub mod jose;

pub mod exchange;

pub mod reply;

pub mod route;
pub mod upstream;

pub mod limit;
pub mod overload;

pub mod store;

pub mod credential;
pub mod issuer;

pub mod shared;

pub mod answer;

pub mod policy;

pub mod config;

pub mod snapshot;

pub mod proxy;

pub mod server;

pub mod console;
