//! The machine, as far as a reader of the figures must know it.

use anyhow::Context as _;
use rustix::process::{Resource, Rlimit, setrlimit};
use std::fs;

/// Processor, cores and kernel, in one line.
pub(crate) fn describe() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown processor", |rest| rest.trim_start_matches([' ', '\t', ':']));
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("machine: {model}, {cores} cores, Linux {}", kernel.trim())
}

/// The CPU time that a process has used, in nanoseconds, over all its threads (`schedstat` of each: first field).
pub(crate) fn cpu_time(pid: u32) -> std::io::Result<u64> {
    let mut sum = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = fs::read_to_string(thread?.path().join("schedstat"))?;
        let first = text.split_ascii_whitespace().next().and_then(|field| field.parse::<u64>().ok());
        sum += first.ok_or_else(|| std::io::Error::other(format!("schedstat reads {text:?}")))?;
    }
    Ok(sum)
}

/// Memory of a process that is its own, in bytes: pages that no file backs (`Anonymous` of `smaps_rollup`).
pub(crate) fn own_memory(pid: u32) -> std::io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Anonymous:"));
    let kilobytes = line.and_then(|rest| rest.split_ascii_whitespace().next()?.parse::<u64>().ok());
    kilobytes
        .map(|kilobytes| kilobytes * 1024)
        .ok_or_else(|| std::io::Error::other("smaps_rollup says nothing"))
}

/// How often a process has gone to sleep because it had nothing to do.
pub(crate) fn sleeps(pid: u32) -> std::io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.and_then(|rest| rest.trim().parse().ok()).ok_or_else(|| std::io::Error::other("status says nothing"))
}

/// Lets the calling process, and those it will start, open that many descriptors.
pub(crate) fn allow_descriptors(count: u64) -> anyhow::Result<()> {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= count) {
        return Ok(());
    }
    // Who is not privileged gets no more than the hard limit.
    let maximum = limit.maximum.map(|maximum| maximum.max(count));
    setrlimit(Resource::Nofile, Rlimit { current: Some(count), maximum })
        .with_context(|| format!("{count} descriptors are needed, and the hard limit is {:?}", limit.maximum))
}

/// Keeps the calling thread, and those it will start, on one core.
pub(crate) fn pin(core: usize) -> std::io::Result<()> {
    let mut set = rustix::thread::CpuSet::new();
    set.set(core);
    Ok(rustix::thread::sched_setaffinity(None, &set)?)
}
