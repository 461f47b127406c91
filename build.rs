//! Tells the build which commit and which Pingora it is made of.

use std::fs;
use std::process::Command;

fn main() {
    println!("cargo::rustc-env=SLUICEGATE_COMMIT={}", commit().as_deref().unwrap_or("unknown"));
    println!("cargo::rustc-env=SLUICEGATE_PINGORA={}", pingora().as_deref().unwrap_or("unknown"));
    println!("cargo::rerun-if-changed=Cargo.lock");
}

/// The commit of the checkout; none where there is no checkout, as in an unpacked archive.
fn commit() -> Option<String> {
    // `logs/HEAD` gets a line with every commit, so that a new one is noticed.
    for path in ["HEAD", "logs/HEAD"] {
        let path = git(&["rev-parse", "--git-path", path])?;
        if fs::exists(&path).unwrap_or(false) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    git(&["rev-parse", "--short=12", "HEAD"])
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let text = text.trim();
    (output.status.success() && !text.is_empty()).then(|| text.to_owned())
}

/// The version that the lock file names: the package's line is followed by it.
fn pingora() -> Option<String> {
    let lock = fs::read_to_string("Cargo.lock").ok()?;
    let mut lines = lock.lines().skip_while(|line| *line != "name = \"pingora\"");
    let version = lines.nth(1)?.strip_prefix("version = \"")?;
    Some(version.strip_suffix('"')?.to_owned())
}
