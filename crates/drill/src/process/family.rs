use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, getpid, pidfd_open, pidfd_send_signal, waitpid};
use serde::Serialize;
use std::collections::HashSet;
use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

/// The mark that every descendant inherits, wherever it goes: sessions and groups can be left, the
/// environment one was born with can only be cleared on purpose.
const MARK: &str = "EXEUNT_DRILL_FAMILY";

/// A process that outlived the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Process {
    /// Its id, which may be gone or given away by the time this is read.
    pub pid: i32,
    /// Its name, as `ps -o comm` shows it.
    pub name: String,
}

/// The leader's descendants. While a drill runs we are their subreaper, so that orphans become our
/// children: a child that was not ours before is taken for one of them.
#[derive(Debug)]
pub(super) struct Family {
    leader: Option<Pid>,
    mark: String,
    ours_before: HashSet<i32>,
    since: u64,
}

/// One line of /proc/PID/stat (`proc_pid_stat(5)`).
struct Stat {
    pid: i32,
    name: String,
    state: char,
    parent: i32,
    group: i32,
    session: i32,
    /// Clock ticks after boot.
    started: u64,
}

impl Family {
    /// Looks round before the leader is born; answers the variable to put into its environment.
    pub(super) fn expected() -> (Self, (&'static str, String)) {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let own = getpid().as_raw_nonzero().get();
        let mark = format!("{own}-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let ours_before = stats().filter(|stat| stat.parent == own).map(|stat| stat.pid).collect();
        let family = Self { leader: None, mark: mark.clone(), ours_before, since: 0 };
        (family, (MARK, mark))
    }

    pub(super) fn led_by(self, leader: Pid) -> Self {
        let since = stat(leader.as_raw_nonzero().get()).map_or(0, |stat| stat.started);
        Self { leader: Some(leader), since, ..self }
    }

    /// Those that live, the leader apart.
    pub(super) fn members(&self) -> Vec<Process> {
        let living = |stat: &Stat| !matches!(stat.state, 'Z' | 'X');
        let name = |stat: Stat| Process { pid: stat.pid, name: stat.name };
        self.stats().into_iter().filter(living).map(name).collect()
    }

    /// Kills each, reaps what is ours, and answers whether nobody was left.
    pub(super) fn kill(&self) -> bool {
        let members = self.stats();
        for member in &members {
            let Some(pid) = Pid::from_raw(member.pid) else { continue };
            if member.state == 'Z' {
                // Not ours to reap unless orphaned; then its parent is in this list, or reaps it itself.
                _ = waitpid(Some(pid), WaitOptions::NOHANG);
                continue;
            }
            let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
            // The handle holds one process for good: if the start time fits now, it is the right one.
            if stat(member.pid).is_some_and(|now| now.started == member.started) {
                _ = pidfd_send_signal(&handle, Signal::KILL);
            }
        }
        members.is_empty()
    }

    fn stats(&self) -> Vec<Stat> {
        let own = getpid().as_raw_nonzero().get();
        let Some(leader) = self.leader.map(|pid| pid.as_raw_nonzero().get()) else { return Vec::new() };
        let mut rest: Vec<_> = stats()
            .filter(|stat| stat.started >= self.since && stat.pid != leader && stat.pid != own)
            .collect();
        let mut members = Vec::new();
        let mut known = HashSet::from([leader]);
        loop {
            let (found, others): (Vec<_>, Vec<_>) = rest.into_iter().partition(|stat| {
                stat.group == leader
                    || stat.session == leader
                    || known.contains(&stat.parent)
                    || (stat.parent == own && !self.ours_before.contains(&stat.pid))
                    || self.is_marked(stat.pid)
            });
            known.extend(found.iter().map(|stat| stat.pid));
            rest = others;
            if found.is_empty() {
                return members;
            }
            members.extend(found);
        }
    }

    fn is_marked(&self, pid: i32) -> bool {
        let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else { return false };
        let wanted = format!("{MARK}={}", self.mark);
        environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
    }
}

fn stats() -> impl Iterator<Item = Stat> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| stat(entry.file_name().to_str()?.parse().ok()?))
}

fn stat(pid: i32) -> Option<Stat> {
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    parse(&String::from_utf8_lossy(&text))
}

fn parse(line: &str) -> Option<Stat> {
    // The name may hold anything, brackets and blanks included: it ends at the last bracket.
    let (pid, rest) = line.split_once(" (")?;
    let (name, rest) = rest.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    Some(Stat {
        pid: pid.parse().ok()?,
        name: name.to_owned(),
        state: fields.next()?.chars().next()?,
        parent: fields.next()?.parse().ok()?,
        group: fields.next()?.parse().ok()?,
        session: fields.next()?.parse().ok()?,
        started: fields.nth(15)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;
    use std::time::{Duration, Instant};

    #[test]
    fn a_stat_line_is_read_whatever_the_name() {
        let line = "42 (a) b (c) S 1 40 39 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2";
        let stat = parse(line).unwrap();
        assert_eq!((stat.pid, stat.name.as_str(), stat.state), (42, "a) b (c", 'S'));
        assert_eq!((stat.parent, stat.group, stat.session, stat.started), (1, 40, 39, 987_654));
        assert!(parse("42 (cut").is_none());
    }

    #[test]
    fn our_own_line_makes_sense() {
        let own = getpid().as_raw_nonzero().get();
        let stat = stat(own).unwrap();
        assert_eq!(stat.pid, own);
        assert!(stat.started > 0);
    }

    #[test]
    fn the_mark_alone_tells_a_member() {
        let (family, mark) = Family::expected();
        let sleeper = |variable: (&str, &str)| {
            Command::new("sleep").arg("600").env(variable.0, variable.1).process_group(0).spawn().unwrap()
        };
        let mut children = [sleeper(("OTHER", "1")), sleeper((mark.0, &mark.1))];
        let pids = children.each_ref().map(|child| Pid::from_child(child).as_raw_nonzero().get());
        // As if both had been ours for long: neither group nor parent speaks for them.
        let known = pids.into_iter().chain(family.ours_before.clone()).collect();
        let family = Family { ours_before: known, leader: Pid::from_raw(i32::MAX), ..family };
        // Until exec has replaced the environment of the fork, with a limit for the test's own sake.
        let limit = Instant::now() + Duration::from_secs(30);
        let mut members: Vec<i32> = Vec::new();
        while !members.contains(&pids[1]) && Instant::now() < limit {
            members = family.members().into_iter().map(|member| member.pid).collect();
        }
        for child in &mut children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert!(members.contains(&pids[1]) && !members.contains(&pids[0]), "{members:?} of {pids:?}");
    }
}
