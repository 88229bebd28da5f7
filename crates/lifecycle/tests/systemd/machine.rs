//! A systemd of our own, in namespaces of its own.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Once;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Longer than anything may take that does not hang.
const LONG: Duration = Duration::from_secs(60);

static SKIPPED: Once = Once::new();

pub(crate) struct Machine {
    script: Child,
    /// Its systemd, as the outside sees it.
    init: String,
}

impl Machine {
    /// `None`, said loudly, where there is no root to boot.
    pub(crate) fn boot() -> Option<Self> {
        let Some(root) = std::env::var_os("EXEUNT_SYSTEMD_ROOT") else {
            SKIPPED.call_once(|| {
                // Not eprintln!, which is kept from whoever runs the tests.
                _ = writeln!(
                    io::stderr(),
                    "SKIPPED: tests under systemd, which has no root; `make test-systemd` makes one"
                );
            });
            return None;
        };
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/systemd-boot");
        let mut script = Command::new(script).arg(root).stdout(Stdio::piped()).spawn().unwrap();
        let mut outer = String::new();
        BufReader::new(script.stdout.take().unwrap()).read_line(&mut outer).unwrap();
        let outer = outer.trim();
        let children = format!("/proc/{outer}/task/{outer}/children");
        let init = until("there is an init", || {
            let children = fs::read_to_string(&children).unwrap_or_default();
            children.split_whitespace().find(|child| is_init_elsewhere(child)).map(str::to_owned)
        });
        let machine = Self { script, init };
        until("systemd runs", || {
            let state = machine.run(&["systemctl", "is-system-running"]);
            (state.stdout == b"running\n").then_some(())
        });
        for (example, from) in [("lifecycle_probe", "lifecycle"), ("inherited_probe", "listener")] {
            let program = example_path(example);
            assert!(program.exists(), "{} of crates/{from} is not built", program.display());
            fs::copy(program, machine.path("/run").join(example)).unwrap();
        }
        Some(machine)
    }

    /// A file of the machine's.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        Path::new("/proc").join(&self.init).join("root").join(path.trim_start_matches('/'))
    }

    pub(crate) fn run(&self, command: &[&str]) -> Output {
        let mut enter = Command::new("nsenter");
        enter.args(["--all", "--target", &self.init, "--"]).args(command).stdin(Stdio::null());
        enter.output().unwrap()
    }

    /// Whether `systemctl` succeeds, and what it says.
    pub(crate) fn systemctl(&self, arguments: &[&str]) -> (bool, String) {
        let output = self.run(&[&["systemctl"], arguments].concat());
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(said).unwrap().trim().to_owned())
    }

    #[track_caller]
    pub(crate) fn succeed(&self, arguments: &[&str]) {
        let (succeeds, said) = self.systemctl(arguments);
        assert!(
            succeeds,
            "systemctl {arguments:?} failed: {said}; {}",
            self.show(arguments[1], "StatusText")
        );
    }

    pub(crate) fn show(&self, unit: &str, property: &str) -> String {
        self.systemctl(&["show", "--value", "--property", property, unit]).1
    }

    #[track_caller]
    pub(crate) fn expect(&self, unit: &str, properties: &[(&str, &str)]) {
        for (property, value) in properties {
            assert_eq!(self.show(unit, property), *value, "{property} of {unit}");
        }
    }

    /// A unit that runs a scenario of the probe, unless it says what else.
    pub(crate) fn service(&self, name: &str, scenario: &str, more: &str) {
        let start = format!("ExecStart=/run/lifecycle_probe service {scenario}\n");
        let start = if more.contains("ExecStart=") { String::new() } else { start };
        let unit = format!(
            "[Unit]\nDefaultDependencies=no\n[Service]\nType=notify\nKillMode=mixed\n\
             StandardOutput=append:/run/{name}.out\nStandardError=inherit\n{start}{more}\n"
        );
        self.unit(name, &unit);
    }

    pub(crate) fn unit(&self, name: &str, unit: &str) {
        fs::write(self.path("/run/systemd/system").join(name), unit).unwrap();
        self.succeed(&["daemon-reload"]);
    }

    pub(crate) fn says(&self, unit: &str) -> String {
        fs::read_to_string(self.path(&format!("/run/{unit}.out"))).unwrap_or_default()
    }

    /// Waits until the unit is over, and answers how.
    pub(crate) fn result(&self, unit: &str) -> String {
        until("the unit is over", || {
            let state = self.show(unit, "ActiveState");
            (state == "failed" || state == "inactive").then(|| self.show(unit, "Result"))
        })
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        _ = Command::new("kill").args(["-KILL", &self.init]).status();
        _ = self.script.wait();
    }
}

/// Waits for it, and not for ever.
#[track_caller]
pub(crate) fn until<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let begun = Instant::now();
    while begun.elapsed() < LONG {
        if let Some(found) = look() {
            return found;
        }
        sleep(Duration::from_millis(10));
    }
    panic!("a minute has passed, and not that {what}");
}

/// Whether the process sees other processes than we do, and has left our root: nothing here may ever be said to the
/// systemd of the machine that runs the test.
fn is_init_elsewhere(process: &str) -> bool {
    let program = fs::read_link(format!("/proc/{process}/exe"));
    if !program.is_ok_and(|program| program.ends_with("systemd/systemd")) {
        return false;
    }
    let namespace = |process| fs::read_link(format!("/proc/{process}/ns/pid"));
    matches!((namespace(process), namespace("self")), (Ok(theirs), Ok(ours)) if theirs != ours)
}

fn example_path(name: &str) -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("examples");
    path.push(name);
    path
}
