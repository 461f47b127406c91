//! Stores that several gateways share (Redis, Valkey): what one of them counts, all of them know.
