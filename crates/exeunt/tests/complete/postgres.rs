//! A Postgres of a test's own, in a folder of its own, that listens on a Unix socket there.

use rustix::process::{Pid, Signal, geteuid, kill_process};
use std::ffi::OsStr;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// For it to begin, and to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// It refuses to run as root; this user owns nothing.
const NOBODY: u32 = 65534;

/// Running; ended when dropped.
pub(crate) struct Postgres {
    server: Child,
    folder: TempDir,
}

impl Postgres {
    /// None if there is no Postgres on this machine.
    pub(crate) fn start() -> Option<Self> {
        let programs = programs()?;
        let folder = tempfile::tempdir().unwrap();
        if geteuid().is_root() {
            chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let data = folder.path().join("data");
        let made = unprivileged(&programs.join("initdb"))
            .args(["--auth=trust", "--username=shop", "--no-sync", "--encoding=UTF8", "--locale=C"])
            .arg("--pgdata")
            .arg(&data)
            .output()
            .unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let server = unprivileged(&programs.join("postgres"))
            .arg("-D")
            .arg(&data)
            // No TCP. What a crash of the machine would lose is not the question here.
            .args(["-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=50", "-k"])
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut postgres = Self { server, folder };
        postgres.until_it_accepts();
        Some(postgres)
    }

    pub(crate) fn url(&self) -> String {
        let host = self.folder.path().to_str().unwrap().replace('/', "%2F");
        format!("postgres://shop@localhost/postgres?host={host}")
    }

    fn until_it_accepts(&mut self) {
        let begun = Instant::now();
        let log = self.folder.path().join("log");
        loop {
            let said = std::fs::read_to_string(&log).unwrap();
            if said.contains("ready to accept connections") {
                return;
            }
            assert!(self.server.try_wait().unwrap().is_none(), "Postgres has ended: {said}");
            assert!(begun.elapsed() < PATIENCE, "Postgres does not get ready: {said}");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // A fast shutdown (pg_ctl(1)): who is connected is sent away.
        kill_process(Pid::from_child(&self.server), Signal::INT).ok();
        let begun = Instant::now();
        while matches!(self.server.try_wait(), Ok(None)) {
            if begun.elapsed() > PATIENCE {
                self.server.kill().ok();
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The folder that has `initdb` and `postgres`: the machine's, Debian's, or what scripts/test-tools has unpacked.
fn programs() -> Option<PathBuf> {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&on_path).collect();
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/postgres");
    for root in [Path::new("/"), &unpacked] {
        let versions = std::fs::read_dir(root.join("usr/lib/postgresql")).into_iter().flatten().flatten();
        folders.extend(versions.map(|version| version.path().join("bin")));
    }
    folders.into_iter().find(|folder| folder.join("initdb").exists() && folder.join("postgres").exists())
}

/// Not as root, and ended with this thread if that is killed.
fn unprivileged(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "QUIT"]);
    if geteuid().is_root() {
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps=-all"]);
    }
    // What was unpacked, and not installed, has its libraries beside it.
    if let Some(libraries) = program.ancestors().nth(5).map(|usr| usr.join("lib/x86_64-linux-gnu"))
        && libraries.starts_with(env!("CARGO_MANIFEST_DIR"))
    {
        command.env("LD_LIBRARY_PATH", libraries);
    }
    command.arg(program).current_dir("/").env_remove(OsStr::new("PGDATA"));
    command
}
