//! Issuers whose keys are fetched.
