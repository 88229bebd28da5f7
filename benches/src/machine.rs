//! The machine, as far as a reader of the figures must know it.

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

/// Keeps the calling thread, and those it will start, on one core.
pub(crate) fn pin(core: usize) -> std::io::Result<()> {
    let mut set = rustix::thread::CpuSet::new();
    set.set(core);
    Ok(rustix::thread::sched_setaffinity(None, &set)?)
}
