//! What this build is.

/// The package's version.
pub const PACKAGE: &str = env!("CARGO_PKG_VERSION");
/// The commit that it was built from, or `unknown`.
pub const COMMIT: &str = env!("SLUICEGATE_COMMIT");
/// The version of Pingora that it was built with.
pub const PINGORA: &str = env!("SLUICEGATE_PINGORA");

/// All of it, for `--version`.
pub const TEXT: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (commit ",
    env!("SLUICEGATE_COMMIT"),
    ", pingora ",
    env!("SLUICEGATE_PINGORA"),
    ")"
);
