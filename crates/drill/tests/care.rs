//! A drill leaves nothing behind, however it ends, and refuses what it cannot judge.
//!
//! One test: what it counts belongs to the whole process.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's panic is its failure")]

use exeunt_drill::{Drill, Error, Outcome, Progress, Scenario, Stop};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs;
use std::net::TcpListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::thread;
use std::time::Duration;

/// A server that leaves a child, wrapped so that it writes both ids down.
fn server(pid_file: &Path, mode: &str) -> Drill {
    let faulty = std::env::current_exe().unwrap();
    let faulty = faulty.parent().and_then(Path::parent).unwrap().join("examples/faulty");
    let script = format!(
        "sleep 600 & echo $$ $! > {0}.new; mv {0}.new {0}; exec {1} {mode} {{port}}",
        pid_file.display(),
        faulty.display()
    );
    Drill::new("sh").args(["-c", &script]).scenario(Scenario::Idle).idle_connections(20).rounds(1)
}

/// The ids that the server wrote down: its own and its child's.
fn pids(file: &Path) -> Vec<String> {
    loop {
        match fs::read_to_string(file) {
            Ok(text) => return text.split_whitespace().map(str::to_owned).collect(),
            Err(_) => thread::sleep(Duration::from_millis(5)),
        }
    }
}

fn lives(pid: &str) -> bool {
    Path::new("/proc").join(pid).exists()
}

fn open_descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

fn children() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    tasks
        .map(|task| fs::read_to_string(task.path().join("children")).unwrap_or_default())
        .map(|list| list.split_whitespace().count())
        .sum()
}

struct Panics;

impl Progress for Panics {
    fn scenario(&mut self, _: &exeunt_drill::ScenarioVerdict) {
        panic!("as asked");
    }
}

#[test]
fn nothing_is_left_behind_and_nonsense_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let hard = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: Some(500), maximum: hard }).unwrap();
    let limit = fs::read_to_string("/proc/self/limits").unwrap();

    let refused = Drill::new("/no/such/server").arg("{port}").run(&mut (), &Stop::new()).unwrap_err();
    assert!(refused.to_string().starts_with("cannot start \"/no/such/server\""), "{refused}");
    assert!(refused.hint().is_some_and(|hint| hint.contains("installed")));

    // After the first: tokio keeps a pair of sockets for signals for ever.
    let descriptors = open_descriptors();

    // More connections than the soft limit allows.
    let many = server(&dir.path().join("many"), "good").idle_connections(600).run(&mut (), &Stop::new());
    let many = many.unwrap();
    assert!(many.scenarios[0].void_rounds.is_empty());
    assert_eq!(many.settings.idle_connections, 600, "lowered: {:?}", many.notes);

    // Held to the end: the child stays and is ended.
    let file = dir.path().join("held");
    let verdict = server(&file, "good").run(&mut (), &Stop::new()).unwrap();
    assert_eq!(verdict.outcome, Outcome::Lost, "{:?}", verdict.reasons);
    assert!(pids(&file).iter().all(|pid| !lives(pid)));

    // Interrupted while the server runs, which never stops by itself.
    let (file, stop) = (dir.path().join("interrupted"), Stop::new());
    let interrupter = thread::spawn({
        let (file, stop) = (file.clone(), stop.clone());
        move || {
            let pids = pids(&file);
            assert!(pids.iter().all(|pid| lives(pid)));
            stop.request();
        }
    });
    let interrupted = server(&file, "never-opens").start_deadline(Duration::from_secs(600));
    let interrupted = interrupted.run(&mut (), &stop);
    assert!(matches!(interrupted, Err(Error::Interrupted)), "{interrupted:?}");
    interrupter.join().unwrap();
    assert!(pids(&file).iter().all(|pid| !lives(pid)));

    // A panic on the way; the next drill is none the worse for it.
    let file = dir.path().join("panicked");
    let panicked = catch_unwind(AssertUnwindSafe(|| server(&file, "good").run(&mut Panics, &Stop::new())));
    assert!(panicked.is_err());
    assert!(pids(&file).iter().all(|pid| !lives(pid)));

    // Refused before anything is started.
    let occupied = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = occupied.local_addr().unwrap().port();
    let refused = Drill::new("true").port(port).run(&mut (), &Stop::new()).unwrap_err();
    assert!(matches!(refused, Error::PortTaken { port: taken } if taken == port), "{refused:?}");
    assert!(refused.hint().is_some_and(|hint| hint.contains("ss -ltnp")));
    drop(occupied);

    assert_eq!(open_descriptors(), descriptors);
    assert_eq!(children(), 0);
    assert_eq!(fs::read_to_string("/proc/self/limits").unwrap(), limit);
}
