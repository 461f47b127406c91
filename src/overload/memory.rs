//! How much memory the process has, and how much it may have.
//!
//! What it may have is the least of what the machine has and of what its control group and those
//! above it allow: the kernel kills at the tightest of them.

use std::fs;
use std::path::Path;

/// The resident bytes of this process; `root` is `/` but in tests.
///
/// It is `VmRSS` of `/proc/self/status` (proc_pid_status(5)), which needs no page size; none where
/// that cannot be read.
pub fn resident(root: &Path) -> Option<u64> {
    kilobytes(&fs::read_to_string(root.join("proc/self/status")).ok()?, "VmRSS:")
}

/// The bytes that this process may have; `root` is `/` but in tests. None where nothing can be read
/// that says it.
pub fn limit(root: &Path) -> Option<u64> {
    let machine = fs::read_to_string(root.join("proc/meminfo")).ok();
    let machine = machine.and_then(|text| kilobytes(&text, "MemTotal:"));
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let allowed = groups.lines().filter_map(|line| allowed(root, line));
    allowed.chain(machine).min()
}

/// What a line of `/proc/self/cgroup` (cgroups(7)), `number:controllers:path`, leads to: the least
/// that the group or one above it may have.
fn allowed(root: &Path, line: &str) -> Option<u64> {
    let mut parts = line.splitn(3, ':').skip(1);
    let (controllers, path) = (parts.next()?, parts.next()?);
    let (mount, file) = if controllers.is_empty() {
        ("sys/fs/cgroup", "memory.max")
    } else if controllers.split(',').any(|one| one == "memory") {
        ("sys/fs/cgroup/memory", "memory.limit_in_bytes")
    } else {
        return None;
    };
    let mount = root.join(mount);
    // In a container, the path may be the host's, of which only the mount's root is seen; it is
    // the last one asked in any case.
    let group = mount.join(path.trim_start_matches('/'));
    let groups = group.ancestors().take_while(|group| group.starts_with(&mount));
    // `max`, which is no limit, is no number either; that of version 1 is larger than any machine.
    groups.filter_map(|group| fs::read_to_string(group.join(file)).ok()?.trim().parse().ok()).min()
}

/// The number of a line such as `MemTotal:  16 kB`, in bytes.
fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    let number: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    number.checked_mul(1024)
}
