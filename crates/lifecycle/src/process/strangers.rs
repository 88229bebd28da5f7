//! Processes that became our children when their parents ended: because this process is a subreaper (prctl(2)), or the
//! first of its PID namespace.
//!
//! They have to be reaped, or they stay zombies; and what a child that was stopped has left behind has to be killed. But
//! among our children are also those that the program started by other means and waits for itself, and nothing that the
//! kernel knows tells whose a child is. So only what is certain counts:
//!
//! - Each child of ours gets a token in its environment, which its descendants inherit: who has it, and was not started
//!   here, is a stranger. It can be read while they live, and is remembered.
//! - Who shares the group of a child of ours is a stranger.
//! - Who is in a session, and is neither in ours nor the leader of its own, was not forked by us: a direct child can
//!   leave our session in no other way than by leading one (setsid(2)).
//!
//! All others are left to whoever started them, unless the program has said that it starts none.

use super::stat::{Stat, children};
use exeunt_sys::child as sys;
use rustix::process::{Pid, WaitId, WaitIdOptions, child_subreaper, set_child_subreaper, waitid};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::thread;
use std::time::{Duration, Instant};

/// The variable with the tokens, one for each generation of programs that does this.
pub(super) const FAMILY: &str = "EXEUNT_FAMILY";

/// What is known of them. The lock around it is held while a child is spawned, who would be taken for one otherwise.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    /// How many lifecycles want them reaped.
    wanted_by: usize,
    /// Whether it was us who made this process a subreaper.
    made_subreaper: bool,
    /// Somebody has said that the program has no other children.
    all: bool,
    token: String,
    /// Children of ours, by process id: those that live, and groups of some that have ended.
    own: BTreeSet<u32>,
    past: VecDeque<u32>,
    /// Those that were seen alive, and whose descendant each is.
    known: BTreeMap<(u32, u64), u64>,
    /// Children whose descendants are to be killed, wherever they are.
    doomed: BTreeSet<u64>,
}

/// The child that those descend from of whom nothing else is known.
const NOBODY: u64 = 0;

/// How long the end of a lifecycle waits for those that it has killed, one after the other perhaps.
const ALL_DIE_WITHIN: Duration = Duration::from_millis(500);

/// How many groups and doomed children are remembered.
const REMEMBERED: usize = 1024;

impl Strangers {
    pub(super) fn are_wanted(&self) -> bool {
        self.wanted_by > 0
    }

    /// From now on they are reaped.
    pub(super) fn want(&mut self, all: bool) -> io::Result<()> {
        if self.wanted_by == 0 {
            if self.token.is_empty() {
                let started = Stat::of(std::process::id()).map(|stat| stat.started).unwrap_or_default();
                self.token = format!("{}-{started}", std::process::id());
            }
            if std::process::id() != 1 && child_subreaper()?.is_none() {
                set_child_subreaper(Some(rustix::process::getpid()))?;
                self.made_subreaper = true;
            }
        }
        self.wanted_by += 1;
        self.all |= all;
        Ok(())
    }

    /// One less wants them reaped; with the last, those that are left are killed.
    pub(super) fn want_no_more(&mut self) {
        self.wanted_by = self.wanted_by.saturating_sub(1);
        if self.wanted_by == 0 {
            self.end_all();
            if self.made_subreaper {
                _ = set_child_subreaper(None);
                self.made_subreaper = false;
            }
            self.known.clear();
            self.doomed.clear();
            self.all = false;
        }
    }

    /// What a child gets in its environment.
    pub(super) fn tokens(&self, child: u64) -> OsString {
        let mut tokens = std::env::var_os(FAMILY).map(OsString::into_vec).unwrap_or_default();
        tokens.extend_from_slice(format!(";{}.{child};", self.token).as_bytes());
        OsString::from_vec(tokens)
    }

    pub(super) fn started(&mut self, pid: u32) {
        self.own.insert(pid);
        // The id is used again.
        self.past.retain(|past| *past != pid);
    }

    pub(super) fn reaped(&mut self, pid: u32) {
        self.own.remove(&pid);
        self.past.push_back(pid);
        self.past.drain(..self.past.len().saturating_sub(REMEMBERED));
    }

    /// The child was stopped or killed: what descends from it is to be killed.
    pub(super) fn doom(&mut self, child: u64) {
        self.doomed.insert(child);
        while self.doomed.len() > REMEMBERED {
            self.doomed.pop_first();
        }
    }

    /// Reaps those that are dead, and kills those that are doomed.
    pub(super) fn look(&mut self) {
        if self.are_wanted() {
            self.pass(|strangers, of| strangers.doomed.contains(&of));
        }
    }

    /// Kills all that descend from children of ours, those that are left by the death of others, too.
    fn end_all(&mut self) {
        let begun = Instant::now();
        while self.pass(|_, _| true) > 0 && begun.elapsed() < ALL_DIE_WITHIN {
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Answers how many were killed.
    fn pass(&mut self, kill: impl Fn(&Self, u64) -> bool) -> usize {
        let all = children();
        let Some(ours) = Stat::of(std::process::id()).map(|stat| stat.session) else { return 0 };
        let mut seen = BTreeMap::new();
        let mut killed = 0;
        for pid in all {
            let (false, Some(stat)) = (self.own.contains(&pid), Stat::of(pid)) else { continue };
            let name = (pid, stat.started);
            if stat.is_zombie() {
                if self.all || self.known.contains_key(&name) || self.is_stranger(pid, &stat, ours) {
                    reap(pid);
                }
                continue;
            }
            let known = self.known.get(&name).copied().or_else(|| self.descends_from(pid));
            if let Some(child) = known.or(self.all.then_some(NOBODY)) {
                seen.insert(name, child);
                if kill(self, child) {
                    // Its id is its own: it is our child, and only this reaps it.
                    _ = sys::send_to(pid, super::KILL);
                    killed += 1;
                }
            }
        }
        self.known = seen;
        killed
    }

    /// Whether one that has ended, and whose environment is gone, is certain to be one.
    fn is_stranger(&self, pid: u32, stat: &Stat, ours: u32) -> bool {
        let leads = stat.group == pid || stat.session == pid;
        let of_a_child = self.own.contains(&stat.group) || self.past.contains(&stat.group);
        (!leads && of_a_child) || (stat.session != ours && stat.session != pid)
    }

    /// Whose descendant it is, by its environment.
    fn descends_from(&self, pid: u32) -> Option<u64> {
        let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
        let of = |variable: &[u8]| {
            let tokens = variable.strip_prefix(FAMILY.as_bytes())?.strip_prefix(b"=")?;
            let tokens = String::from_utf8_lossy(tokens).into_owned();
            let child = |token: &str| token.strip_prefix(&self.token)?.strip_prefix('.')?.parse().ok();
            tokens.split(';').find_map(child)
        };
        environment.split(|byte| *byte == 0).find_map(of)
    }
}

fn reap(pid: u32) {
    let Some(pid) = Pid::from_raw(pid.cast_signed()) else { return };
    _ = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
}

#[cfg(test)]
mod tests {
    use super::{Stat, Strangers};

    /// Ours is session 1; 50 is a child of ours, in a group of its own; 40 was one.
    #[test]
    fn c9_only_what_is_certain_is_a_stranger() {
        let mut strangers = Strangers::default();
        strangers.started(40);
        strangers.started(50);
        strangers.reaped(40);
        let cases = [
            (60, 1, 1, false, "forked by the program, or left by one who was"),
            (60, 60, 1, false, "forked by the program into a group of its own"),
            (60, 60, 60, false, "forked by the program into a session of its own, or a daemon"),
            (60, 61, 1, false, "of a group that the program may have made"),
            (60, 50, 1, true, "of the group of a child"),
            (60, 40, 1, true, "of the group of a child that has ended"),
            (40, 40, 1, false, "its id was a child's"),
            (60, 50, 50, true, "of the session of a child"),
            (60, 61, 61, true, "of a daemon's session"),
            (60, 60, 61, true, "of a shell's job"),
        ];
        for (pid, group, session, expected, what) in cases {
            let stat = Stat { state: 'Z', parent: 10, group, session, started: 0 };
            assert_eq!(strangers.is_stranger(pid, &stat, 1), expected, "{what}");
        }
    }

    #[test]
    fn c9_what_is_remembered_is_bounded() {
        let mut strangers = Strangers::default();
        for number in 0..10_000 {
            strangers.started(number);
            strangers.reaped(number);
            strangers.doom(number.into());
        }
        assert_eq!((strangers.own.len(), strangers.past.len(), strangers.doomed.len()), (0, 1024, 1024));
        assert!(strangers.doomed.contains(&9_999) && strangers.past.contains(&9_999));
    }
}
