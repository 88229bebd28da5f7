//! What the drill takes from the process it runs in: descriptors, and the role of a subreaper.

use rustix::process::{Resource, Rlimit, child_subreaper, getpid, getrlimit, set_child_subreaper, setrlimit};

/// Descriptors for everything but the load: the runtime, pipes, /proc, whatever the process has open.
const RESERVE: u64 = 100;

/// Raises the soft limit of open descriptors to the hard one for as long as it lives, and makes this process
/// the subreaper of its descendants. Both are undone on drop.
#[derive(Debug)]
pub(crate) struct Resources {
    before: Rlimit,
    reaped_before: bool,
    descriptors: u64,
}

impl Resources {
    pub(crate) fn take() -> Self {
        let before = getrlimit(Resource::Nofile);
        let raised = Rlimit { current: before.maximum, maximum: before.maximum };
        let now = if setrlimit(Resource::Nofile, raised).is_ok() { before.maximum } else { before.current };
        let reaped_before = child_subreaper().is_ok_and(|reaper| reaper.is_some());
        // Without it (never seen on Linux since 3.4) orphans are still found by their mark.
        _ = set_child_subreaper(Some(getpid()));
        Self { before, reaped_before, descriptors: now.unwrap_or(u64::MAX) }
    }

    /// The load that fits, and a word if it is less than what was wanted.
    pub(crate) fn fit(&self, what: &str, wanted: u32) -> (u32, Option<String>) {
        fit(self.descriptors, what, wanted)
    }
}

impl Drop for Resources {
    fn drop(&mut self) {
        _ = setrlimit(Resource::Nofile, self.before);
        if !self.reaped_before {
            _ = set_child_subreaper(None);
        }
    }
}

fn fit(descriptors: u64, what: &str, wanted: u32) -> (u32, Option<String>) {
    let fitting = descriptors.saturating_sub(RESERVE).max(1);
    match u32::try_from(fitting) {
        Ok(fitting) if fitting < wanted => {
            let word = format!(
                "{what} lowered from {wanted} to {fitting}: the hard limit of open descriptors is {descriptors} \
                 (ulimit -Hn)"
            );
            (fitting, Some(word))
        }
        _ => (wanted, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_load_is_lowered_with_a_word() {
        assert_eq!(fit(20_000, "connections", 1_000), (1_000, None));
        assert_eq!(fit(u64::MAX, "connections", 1_000), (1_000, None));
        let (fitting, word) = fit(256, "idle connections", 1_000);
        assert_eq!(fitting, 156);
        assert!(word.is_some_and(|word| word.starts_with("idle connections lowered from 1000 to 156")));
        assert_eq!(fit(10, "connections", 64).0, 1);
    }
}
