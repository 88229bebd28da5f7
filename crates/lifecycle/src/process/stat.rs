//! What the kernel says of a process.

use std::fs;

/// Some fields of `/proc/PID/stat` (`proc_pid_stat(5)`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) state: char,
    pub(super) parent: u32,
    /// 0 if its leader is in a PID namespace outside ours, as is the first's of a container. (The calls that answer the
    /// same, getpgid(2) and getsid(2), say 0 too, which rustix takes for impossible.)
    pub(super) group: u32,
    /// As the group.
    pub(super) session: u32,
    /// In clock ticks since the boot: with the id, this names a process for ever.
    pub(super) started: u64,
}

impl Stat {
    /// `None` if there is no such process.
    pub(super) fn of(pid: u32) -> Option<Self> {
        // The name in it is whatever bytes its owner likes.
        Self::parse(&String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/stat")).ok()?))
    }

    fn parse(stat: &str) -> Option<Self> {
        // The name before may contain anything.
        let (_, behind) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = behind.split_ascii_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse().ok();
        Some(Self {
            state: fields.first()?.chars().next()?,
            parent: number(1)?,
            group: number(2)?,
            session: number(3)?,
            started: fields.get(19)?.parse().ok()?,
        })
    }

    pub(super) fn is_zombie(&self) -> bool {
        self.state == 'Z'
    }
}

/// The children of this process, whichever thread of it has them.
pub(super) fn children() -> Vec<u32> {
    let lists: Option<Vec<String>> = fs::read_dir("/proc/self/task").ok().map(|tasks| {
        let children =
            |task: std::io::Result<fs::DirEntry>| fs::read_to_string(task.ok()?.path().join("children")).ok();
        tasks.filter_map(children).collect()
    });
    match lists {
        Some(lists) if !lists.is_empty() => {
            let pids = lists.iter().flat_map(|list| list.split_ascii_whitespace());
            pids.filter_map(|pid| pid.parse().ok()).collect()
        }
        // A kernel without CONFIG_PROC_CHILDREN.
        _ => {
            all().filter(|pid| Stat::of(*pid).is_some_and(|stat| stat.parent == std::process::id())).collect()
        }
    }
}

fn all() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::{Stat, children};
    use std::process::Command;

    #[test]
    fn a_name_may_be_anything() {
        let line = "7 (a) b (c d) R 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 1900 20";
        let stat = Stat { state: 'R', parent: 1, group: 2, session: 3, started: 1900 };
        assert_eq!(Stat::parse(line), Some(stat));
        assert_eq!(Stat::parse("7 (a"), None);
        assert_eq!(Stat::parse("7 (a) R 1"), None);
    }

    /// The kernel keeps 15 bytes of a program's name, whatever they are.
    #[test]
    fn a_name_that_is_no_text_hides_nobody() {
        let home = tempfile::tempdir().unwrap();
        let program = home.path().join("ü".repeat(15));
        std::os::unix::fs::symlink("/bin/sleep", &program).unwrap();
        let mut child = Command::new(&program).arg("60").spawn().unwrap();
        let stat = Stat::of(child.id());
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(stat.map(|stat| stat.parent), Some(std::process::id()));
    }

    #[test]
    fn children_are_found_whoever_started_them() {
        let mut child =
            std::thread::spawn(|| Command::new("sleep").arg("60").spawn().unwrap()).join().unwrap();
        assert!(children().contains(&child.id()));
        assert_eq!(Stat::of(child.id()).unwrap().parent, std::process::id());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!children().contains(&child.id()));
    }
}
