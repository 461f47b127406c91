//! End-to-end tests: the real gateway on free ports, between real clients and real services.
//!
//! States are waited for, with an end to each wait. Where a test is about time itself, it states
//! bounds that a busy machine keeps.

mod answers;
mod authorize;
mod bad_services;
mod balancing;
mod bodies;
mod breakers;
mod carry;
mod check;
mod connections;
mod corpus;
mod cors;
mod credentials;
mod discovery;
mod discovery_sources;
mod failures;
mod forward_auth;
mod grpc;
mod health;
mod hedging;
mod identity;
mod identity_token;
mod issuers;
mod jwt;
mod limits;
mod login;
mod matching;
mod mirror;
mod mistakes;
mod normalise;
mod oidc;
mod overload;
mod policies;
mod protocols;
mod rate_limits;
mod retries;
mod routing;
mod run;
mod services;
mod sessions;
mod shared_limits;
mod shutdown;
mod split;
mod stores;
mod support;
mod telemetry;
mod tunnels;
