//! `exeunt serve` as its users meet it: a process, signals, exit codes, what it prints.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test's panic is its failure"
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

const EXEUNT: &str = env!("CARGO_BIN_EXE_exeunt");

/// A running `exeunt serve`; killed if a test leaves it.
struct Running {
    child: Child,
    stderr: BufReader<std::process::ChildStderr>,
    address: SocketAddr,
}

impl Running {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(EXEUNT)
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        let address = line.trim().rsplit_once("http://").expect(&line).1.parse().unwrap();
        Self { child, stderr, address }
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// The exit code, and what was printed after the first line.
    fn end(mut self) -> (Option<i32>, String) {
        let mut report = String::new();
        self.stderr.read_to_string(&mut report).unwrap();
        (self.child.wait().unwrap().code(), report)
    }

    fn get(&self, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
        stream
    }

    /// Waits until the server answers 503 to `/readyz` on a new connection, or refuses it: the stop is under way.
    fn stopping(&self) {
        loop {
            let Ok(mut stream) = TcpStream::connect_timeout(&self.address, Duration::from_millis(200)) else {
                return;
            };
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            let asked = write!(stream, "GET /readyz HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n");
            let mut answer = String::new();
            if asked.is_err()
                || stream.read_to_string(&mut answer).is_err()
                || answer.starts_with("HTTP/1.1 503")
            {
                return;
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn read(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn refused(arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = Command::new(EXEUNT).args(arguments).output().unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

#[test]
fn a_folder_is_served_and_a_signal_ends_it_with_a_report() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("index.html"), "a page").unwrap();
    for (signal, name) in [("-TERM", "SIGTERM"), ("-INT", "SIGINT")] {
        let server = Running::start(&[folder.path().to_str().unwrap()]);
        assert!(read_head(&server.get("/")).starts_with("HTTP/1.1 200"));
        assert!(read_head(&server.get("/readyz")).starts_with("HTTP/1.1 200"));
        assert!(read_head(&server.get("/nothing")).starts_with("HTTP/1.1 404"));
        server.signal(signal);
        let (code, report) = server.end();
        assert_eq!(code, Some(0), "{report}");
        for words in [name, "running", "lame duck", "draining", "closing", "0 cut", "exit status 0"] {
            assert!(report.contains(words), "{words} is missing from:\n{report}");
        }
    }
}

fn read_head(stream: &TcpStream) -> String {
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line
}

#[test]
fn a_request_in_flight_is_finished() {
    let server = Running::start(&["--built-in-site"]);
    let slow = server.get("/slow?ms=1000");
    server.signal("-TERM");
    let answer = read(slow);
    assert!(answer.ends_with("waited 1000 ms\n"), "{answer}");
    let (code, report) = server.end();
    assert_eq!(code, Some(0), "{report}");
}

#[test]
fn what_the_deadline_cuts_is_named_and_the_exit_status_is_3() {
    let server = Running::start(&["--built-in-site", "--grace", "500ms"]);
    let slow = server.get("/slow?ms=60000");
    // Ready only when the slow request is with the server: connections are accepted in order.
    assert!(read_head(&server.get("/livez")).starts_with("HTTP/1.1 200"));
    server.signal("-TERM");
    let answer = read(slow);
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    let (code, report) = server.end();
    assert_eq!(code, Some(3), "{report}");
    assert!(report.contains("GET /slow?ms=60000"), "{report}");
}

#[test]
fn nobody_has_to_read_what_it_prints() {
    let mut server = Running::start(&["--built-in-site", "--log", "trace"]);
    // The pipe breaks.
    server.stderr =
        BufReader::new(Command::new("true").stderr(Stdio::piped()).spawn().unwrap().stderr.take().unwrap());
    for _ in 0..3 {
        assert!(read_head(&server.get("/")).starts_with("HTTP/1.1 200"));
    }
    server.signal("-TERM");
    assert_eq!(server.end().0, Some(0));
}

#[test]
fn the_third_signal_forces_the_end() {
    let server = Running::start(&["--built-in-site"]);
    let _slow = server.get("/slow?ms=60000");
    assert!(read_head(&server.get("/livez")).starts_with("HTTP/1.1 200"));
    server.signal("-INT");
    server.stopping();
    // Pending signals of one kind merge, so each is sent when the one before has been taken; a signal more does no harm.
    let (code, report) = std::thread::scope(|scope| {
        let pid = server.child.id().to_string();
        let ended = scope.spawn(|| server.end());
        while !ended.is_finished() {
            Command::new("kill").args(["-INT", &pid]).stderr(Stdio::null()).status().unwrap();
            std::thread::sleep(Duration::from_millis(50));
        }
        ended.join().unwrap()
    });
    assert_eq!(code, Some(130), "{report}");
}

#[test]
fn what_cannot_be_served_is_one_clear_line_with_a_hint() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().to_string();
    let file = tempfile::NamedTempFile::new().unwrap();
    let table: &[(&[&str], &str)] = &[
        (&["serve", "/no/such/folder"], "cannot serve /no/such/folder: it does not exist"),
        (&["serve", file.path().to_str().unwrap()], "it is not a folder"),
        (&["serve", ".", "--listen", &port], "the port is taken"),
        (&["serve", ".", "--listen", "192.0.2.1:80"], "the address is not one of this machine's"),
        (&["serve", ".", "--listen", "here"], "`here`"),
        (&["serve", ".", "--listen", "127.0.0.1:99999"], "99999"),
        (&["serve", ".", "--grace", "5"], "'5'"),
        (&["serve", ".", "--grace", "Docker"], "'Docker'"),
        (&["serve", ".", "--grace", "docker", "--lame-duck", "8s"], "lame duck of 8s"),
        (&["serve", ".", "--grace", "1s", "--lame-duck", "1s"], "lame duck of 1s"),
        (&["serve"], "DIR"),
        (&["serve", ".", "--log", "a=b=c"], "a=b=c"),
    ];
    for (arguments, words) in table {
        let (code, stderr) = refused(arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {stderr}");
        assert!(stderr.contains(words), "{arguments:?} says:\n{stderr}");
        assert!(
            stderr.starts_with("error: ") && !stderr.contains("panicked"),
            "{arguments:?} says:\n{stderr}"
        );
        assert!(stderr.lines().count() <= 7, "{arguments:?} says:\n{stderr}");
    }
    for arguments in [&table[0].0, &table[2].0, &table[3].0] {
        let (_, stderr) = refused(arguments);
        assert!(stderr.contains("\nhint: ") && stderr.lines().count() == 2, "{arguments:?} says:\n{stderr}");
    }
}

#[test]
fn a_privileged_port_is_explained() {
    let first: u16 = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(1024);
    if first <= 81 {
        eprintln!("SKIPPED: no port is privileged here (net.ipv4.ip_unprivileged_port_start = {first})");
        return;
    }
    let mut command = Command::new(EXEUNT);
    command.args(["serve", "/", "--listen", "127.0.0.1:81"]);
    if std::fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0) {
        command.uid(65_534).gid(65_534); // nobody
    }
    match command.output() {
        Ok(Output { status, stderr, .. }) => {
            let stderr = String::from_utf8(stderr).unwrap();
            assert_eq!(status.code(), Some(2), "{stderr}");
            assert!(stderr.contains("cannot listen on 127.0.0.1:81"), "{stderr}");
            assert!(stderr.contains("\nhint: ports below"), "{stderr}");
        }
        Err(error) => eprintln!("SKIPPED: another user cannot run {EXEUNT}: {error}"),
    }
}

#[test]
fn a_unix_socket_is_served_and_taken_away() {
    use std::os::unix::net::UnixStream;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("site.sock");
    let mut child = Command::new(EXEUNT)
        .args(["serve", "--built-in-site", "--listen", &format!("unix:{}", path.display())])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    stderr.read_line(&mut String::new()).unwrap();
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.write_all(b"GET /livez HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("alive\n"), "{answer}");
    Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(!path.exists());
}
