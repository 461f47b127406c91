//! A process of ours: pinned, measured, and stopped by its id.

use super::Failure;
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long a clock tick of `/proc` is: Linux shows 100 a second, whatever it counts itself.
const TICK: Duration = Duration::from_millis(10);
/// How long a process may take to end before it is killed.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running process and its children.
pub struct Process {
    child: Child,
    output: PathBuf,
}

/// The processor time that a process and its children have had.
#[derive(Debug, Clone, Copy)]
pub struct Cpu {
    /// In its own code.
    pub user: Duration,
    /// In the kernel for it.
    pub system: Duration,
}

/// The memory of a process and its children, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// The most that was resident at any time.
    pub peak: u64,
    /// What is resident now, shared pages divided among those that share them.
    pub proportional: u64,
}

impl Process {
    /// Starts a program on some cores; what it says goes to a file. It ends with this program,
    /// however that ends.
    pub fn start(command: &[OsString], cores: &str, output: &Path) -> Result<Process, Failure> {
        let file = File::create(output)?;
        // Each of the two becomes what it starts, so that the id is the program's own.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "TERM", "--", "taskset", "-c", cores])
            .args(command)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .map_err(|error| format!("setpriv and taskset (util-linux) are needed: {error}"))?;
        Ok(Process { child, output: output.to_owned() })
    }

    /// Fails if it has ended, with the last of what it said.
    pub fn must_run(&mut self) -> Result<(), Failure> {
        let Some(status) = self.child.try_wait()? else {
            return Ok(());
        };
        let said = fs::read_to_string(&self.output).unwrap_or_default();
        let lines: Vec<_> = said.lines().rev().take(5).collect();
        let last: Vec<_> = lines.into_iter().rev().collect();
        Err(format!("it ended ({status}): {}", last.join("\n")).into())
    }

    /// The processor time so far.
    pub fn cpu(&self) -> Result<Cpu, Failure> {
        let mut cpu = Cpu { user: Duration::ZERO, system: Duration::ZERO };
        for id in self.tree() {
            let fields = stat(id).ok_or("it ended")?;
            cpu.user += TICK * fields[11].parse::<u32>()?;
            cpu.system += TICK * fields[12].parse::<u32>()?;
        }
        Ok(cpu)
    }

    /// The memory.
    pub fn memory(&self) -> Result<Memory, Failure> {
        let mut memory = Memory { peak: 0, proportional: 0 };
        for id in self.tree() {
            memory.peak += number(&format!("/proc/{id}/status"), "VmHWM:")? * 1024;
            memory.proportional += number(&format!("/proc/{id}/smaps_rollup"), "Pss:")? * 1024;
        }
        Ok(memory)
    }

    /// How often it has waited for something to do.
    pub fn waits(&self) -> Result<u64, Failure> {
        let mut waits = 0;
        for id in self.tree() {
            for thread in fs::read_dir(format!("/proc/{id}/task"))? {
                let status = thread?.path().join("status");
                waits += number(&status.display().to_string(), "voluntary_ctxt_switches:")?;
            }
        }
        Ok(waits)
    }

    /// How long the thread that has run most was ready to run while others had its core.
    pub fn queued(&self) -> Duration {
        let mut most = (0, 0);
        for id in self.tree() {
            let threads = fs::read_dir(format!("/proc/{id}/task"));
            for thread in threads.into_iter().flatten().flatten() {
                // A kernel without these figures says nothing of it.
                let text = fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
                let mut numbers = text.split_ascii_whitespace().map_while(|n| n.parse().ok());
                most = most.max((numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)));
            }
        }
        Duration::from_nanos(most.1)
    }

    /// Lets it end, and waits until it has.
    pub fn stop(&mut self) {
        let id = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &id]).status();
        let deadline = Instant::now() + PATIENCE;
        while asked.is_ok() && Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        // It has ended meanwhile, or is to end now.
        drop(self.child.kill());
        drop(self.child.wait());
    }

    /// The ids of the process and of its children.
    fn tree(&self) -> Vec<u32> {
        let all: Vec<(u32, u32)> = fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter_map(|id| Some((id, stat(id)?[1].parse().ok()?)))
            .collect();
        let mut tree = vec![self.child.id()];
        let mut next = 0;
        while let Some(&parent) = tree.get(next) {
            tree.extend(all.iter().filter(|(_, of)| *of == parent).map(|(id, _)| id));
            next += 1;
        }
        tree
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.stop();
        }
    }
}

/// Moves this program to some cores, and with it what it starts from now on.
pub fn move_to(cores: &str) -> Result<(), Failure> {
    let id = std::process::id().to_string();
    let moved = Command::new("taskset")
        .args(["-a", "-c", "-p", cores, &id])
        .stdout(Stdio::null())
        .status()
        .map_err(|error| format!("taskset (util-linux) is needed: {error}"))?;
    if !moved.success() {
        return Err(format!("there is no core {cores}: two are needed at least").into());
    }
    Ok(())
}

/// The fields of a process from its state on: the name before may hold anything.
fn stat(id: u32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    Some(fields.split_ascii_whitespace().map(str::to_owned).collect())
}

/// The first number of a field.
fn number(file: &str, field: &str) -> Result<u64, Failure> {
    let text = fs::read_to_string(file)?;
    let value = text.lines().find_map(|line| line.strip_prefix(field));
    let number = value.and_then(|value| value.split_ascii_whitespace().next());
    Ok(number.ok_or_else(|| format!("{file} has no {field}"))?.parse()?)
}
