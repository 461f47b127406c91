//! End-to-end tests: the real gateway on free ports, between real clients and real services.
//!
//! States are waited for, with an end to each wait. Where a test is about time itself, it states
//! bounds that a busy machine keeps.

mod answers;
mod bodies;
mod carry;
mod check;
mod connections;
mod cors;
mod discovery_sources;
mod failures;
mod hedging;
mod matching;
mod normalise;
mod policies;
mod protocols;
mod routing;
mod run;
mod services;
mod shutdown;
mod support;
mod telemetry;
