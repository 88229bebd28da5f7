//! How long systemd waits for our unit's end.

use super::VARIABLES;
use crate::bounded::within;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// `DefaultTimeoutStopSec=` where nobody has set it (systemd-system.conf(5)).
const DEFAULT: Duration = Duration::from_secs(90);

/// How long the manager may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// A unit, and whose it is.
#[derive(Debug, PartialEq, Eq)]
struct Unit {
    name: String,
    /// Of a user's own manager.
    is_users: bool,
}

/// The time of our unit; `None`: for ever.
pub(super) fn time_to_stop() -> Option<Duration> {
    match ask() {
        Ok(time) => time,
        Err(problem) => {
            tracing::warn!(target: "exeunt::lifecycle", problem, "TimeoutStopSec= is taken to be 90 s");
            Some(DEFAULT)
        }
    }
}

fn ask() -> Result<Option<Duration>, String> {
    let path = Path::new("/proc/self/cgroup");
    let groups = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let unit = unit(&groups).ok_or("this process is in no unit of systemd's")?;
    let mut show = Command::new("systemctl");
    show.arg(if unit.is_users { "--user" } else { "--system" });
    show.args(["show", "--property=TimeoutStopUSec", "--value", "--", &unit.name]);
    VARIABLES.iter().for_each(|variable| _ = show.env_remove(variable));
    show.stdin(Stdio::null());
    let answer = within(PATIENCE, "exeunt-unit", move || show.output());
    let answer = answer.ok_or_else(|| format!("systemctl has not answered in {PATIENCE:?}"))?;
    let answer = answer.map_err(|error| format!("systemctl cannot be run: {error}"))?;
    if !answer.status.success() {
        let said = String::from_utf8_lossy(&answer.stderr).trim().to_owned();
        return Err(format!("systemctl has failed: {said}"));
    }
    time(String::from_utf8_lossy(&answer.stdout).trim())
}

/// The innermost unit that the control groups name (cgroups(7)): a service may have groups of its own below it.
fn unit(groups: &str) -> Option<Unit> {
    // Where there are both hierarchies, systemd may keep its units in either.
    let unified = groups.lines().filter_map(|line| line.strip_prefix("0::"));
    let named = groups.lines().filter_map(|line| line.split_once(":name=systemd:").map(|(_, path)| path));
    unified.chain(named).find_map(unit_of)
}

fn unit_of(path: &str) -> Option<Unit> {
    let is_unit = |part: &&str| part.ends_with(".service") || part.ends_with(".scope");
    let name = path.split('/').rfind(is_unit)?;
    let is_users = path.split('/').any(|part| part.starts_with("user@") && part != name);
    Some(Unit { name: name.to_owned(), is_users })
}

/// As systemd writes it (systemd.time(7)); `None`: `infinity`.
fn time(text: &str) -> Result<Option<Duration>, String> {
    match text {
        "infinity" => Ok(None),
        _ => match humantime::parse_duration(text) {
            Ok(time) => Ok(Some(time)),
            Err(error) => Err(format!("systemctl says {text:?}: {error}")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_unit_is_ours() {
        let found = |groups: &str| unit(groups).map(|unit| (unit.name, unit.is_users));
        let some = |name: &str, is_users| Some((name.to_owned(), is_users));
        assert_eq!(found("0::/system.slice/shop.service\n"), some("shop.service", false));
        assert_eq!(found("0::/system.slice/shop.service/workers\n"), some("shop.service", false));
        let users = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/shop.service\n";
        assert_eq!(found(users), some("shop.service", true));
        assert_eq!(
            found("0::/user.slice/user-1000.slice/user@1000.service\n"),
            some("user@1000.service", false)
        );
        let both = "12:pids:/x\n1:name=systemd:/system.slice/shop.service\n0::/system.slice/shop.service\n";
        assert_eq!(found(both), some("shop.service", false));
        let one = "12:pids:/x\n1:name=systemd:/\n0::/system.slice/shop.service\n";
        assert_eq!(found(one), some("shop.service", false));
        let other = "1:name=systemd:/system.slice/shop.service\n0::/\n";
        assert_eq!(found(other), some("shop.service", false));
        assert_eq!(found("0::/\n"), None);
        assert_eq!(found(""), None);
    }

    #[test]
    fn times_are_read_as_systemd_writes_them() {
        let seconds = |seconds| Ok(Some(Duration::from_secs(seconds)));
        assert_eq!(time("1min 30s"), seconds(90));
        assert_eq!(time("10s"), seconds(10));
        assert_eq!(time("2h 5min"), seconds(7_500));
        assert_eq!(time("500ms"), Ok(Some(Duration::from_millis(500))));
        assert_eq!(time("infinity"), Ok(None));
        assert!(time("").unwrap_err().contains("systemctl says \"\""));
    }
}
