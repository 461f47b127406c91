//! End-to-end tests: the real gateway on free ports, between real clients and real services.
//!
//! States are waited for, with an end to each wait. Where a test is about time itself, it states
//! bounds that a busy machine keeps.

mod answers;
mod balancing;
mod bad_services;
mod bodies;
mod breakers;
mod carry;
mod check;
mod connections;
mod cors;
mod discovery;
mod discovery_sources;
mod failures;
mod limits;
mod health;
mod matching;
mod mistakes;
mod grpc;
mod matching;
mod mirror;
mod normalise;
mod policies;
mod protocols;
mod retries;
mod routing;
mod run;
mod services;
mod shutdown;
mod split;
mod support;
mod telemetry;
mod tunnels;
