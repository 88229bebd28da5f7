//! Bodies as they come, and forms with files (M20).

use crate::certificates::{localhost, tls_client};
use crate::probe::{Probe, example};
use crate::support::{
    LIMIT, Log, Polled, address, asking, client, name, poll_until, read_to, to_end, wait_until,
};
use exeunt_manager::uploads::SaveAs;
use exeunt_manager::{Connection, Event, Listen, Manager, Uploads};
use rustix::process::Signal;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use tempfile::{TempDir, tempdir};

/// Receives forms into that directory, and tells what came.
fn receiving(uploads: Uploads, log: Log) -> impl Fn(&Connection, Event<'_>) + Send + Sync + 'static {
    move |conn, event| {
        match event {
            Event::HttpHeaders(request) => {
                if let Err(error) = conn.receive_form(request, &uploads) {
                    conn.reply(error.status(), &[], error.to_string());
                }
            }
            Event::HttpMessage(request) => {
                let form = request.form().unwrap();
                let fields = form.fields().map(|(name, value)| format!("{name}={value}"));
                let files = form.files().iter().map(|file| {
                    let sum: u64 = fs::read(file.path()).unwrap().iter().map(|byte| u64::from(*byte)).sum();
                    format!("{}={}:{}:{sum}", file.field(), file.filename(), file.length())
                });
                conn.reply(200, &[], fields.chain(files).collect::<Vec<_>>().join("\n"));
            }
            _ => {}
        }
        log.push(name(&event));
    }
}

fn served(uploads: Uploads) -> (Polled, SocketAddr, Log) {
    let log = Log::default();
    let polled = Polled::new(receiving(uploads, log.clone()));
    let address = polled.listen("http://127.0.0.1:0");
    (polled, address, log)
}

fn listed(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn head(framing: &str) -> String {
    format!(
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: multipart/form-data; boundary=x\r\n{framing}\r\n\r\n"
    )
}

fn with_length(body: &str) -> String {
    head(&format!("Content-Length: {}", body.len())) + body
}

fn file(content: &str) -> String {
    format!("--x\r\nContent-Disposition: form-data; name=f; filename=a\r\n\r\n{content}\r\n--x--\r\n")
}

/// How curl ended, and what it was told.
fn curl(address: SocketAddr, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "120", "--noproxy", "*", "-w", "\n%{http_code}"]);
    let output = command.args(arguments).arg(format!("http://{address}/")).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

fn has_curl() -> bool {
    let there = Command::new("curl").arg("--version").output().is_ok();
    if !there {
        eprintln!("SKIPPED: there is no curl; scripts/test-tools installs it");
    }
    there
}

#[test]
fn curl_sends_forms() {
    if !has_curl() {
        return;
    }
    let (from, to) = (tempdir().unwrap(), tempdir().unwrap());
    let write = |name: &str, bytes: &[u8]| {
        let path = from.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let binary: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 256) as u8).collect();
    let sum: u64 = binary.iter().map(|byte| u64::from(*byte)).sum();
    let (binary, empty) = (write("b.bin", &binary), write("empty", b""));
    let text = write("ü \\ x.txt", b"hello\r\n--\r\n");
    let (_polled, address, _) = served(Uploads::to(to.path()));
    let large = format!("big=3000000:{sum}");
    let large = large.split_once('=').unwrap().1;
    let expected = format!(
        "note=two words & ü\nbig=b.bin:{large}\nnone=empty:0:0\ntext=ü \\ x.txt:11:{}\n200",
        b"hello\r\n--\r\n".iter().map(|byte| u64::from(*byte)).sum::<u64>()
    );
    let form = [
        "-F",
        "note=two words & ü",
        "-F",
        &format!("big=@{binary}"),
        "-F",
        &format!("none=@{empty}"),
        "-F",
        &format!("text=@\"{}\"", text.replace('\\', "\\\\")),
    ];
    for extra in
        [&[][..], &["-H", "Expect: 100-continue"], &["-H", "Transfer-Encoding: chunked"], &["-H", "Expect:"]]
    {
        assert_eq!(curl(address, &[&form[..], extra].concat()), (Some(0), expected.clone()), "{extra:?}");
    }
    assert_eq!(listed(to.path()).len(), 12);
    let encoded = curl(address, &["--data", "a=1", "--data-urlencode", "b=x y&ü"]);
    assert_eq!(encoded, (Some(0), "a=1\nb=x y&ü\n200".to_owned()));
    assert_eq!(curl(address, &["--json", "{}"]).1.lines().last(), Some("415"));
}

#[test]
fn a_form_in_single_bytes_is_a_form() {
    let to = tempdir().unwrap();
    let (_polled, address, log) = served(Uploads::to(to.path()));
    let mut client = client(address);
    client.set_nodelay(true).unwrap();
    for byte in with_length(&file("\r\n--\r\n--y")).bytes() {
        client.write_all(&[byte]).unwrap();
    }
    assert!(to_end(client).ends_with("\r\n\r\nf=a:9:347"));
    assert_eq!((log.count("headers"), log.count("message"), log.count("body")), (1, 1, 0));
    assert_eq!(listed(to.path()).len(), 1);
}

#[test]
fn what_is_no_form_is_answered_and_leaves_nothing() {
    let to = tempdir().unwrap();
    let (polled, address, log) = served(Uploads::to(to.path()).bytes(1_000).file_bytes(100));
    let good = file("hello");
    let table = [
        (400, with_length(good.strip_suffix("--x--\r\n").unwrap()), "ends before its last boundary"),
        (400, with_length(&good.replace("--x", "--y")), "ends before its last boundary"),
        (400, with_length(&good.replace("--x--", "--xy")), "not followed by `--`"),
        (400, with_length(&good.replace("name=f; ", "")), "has no name"),
        (413, with_length(&file(&"x".repeat(101))), "`f` is larger than 100 bytes"),
        (413, head("Content-Length: 1001"), "the body is longer than it may be"),
        (413, head("Transfer-Encoding: chunked") + "3e9\r\n", "the body is longer than it may be"),
        (400, head("Transfer-Encoding: chunked") + "x\r\n", "a chunk's size is not"),
    ];
    for (status, request, why) in table {
        let before = log.all().len();
        let answer = to_end(asking(address, request));
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{why}: {answer}");
        wait_until("the close", || log.all()[before..].iter().any(|line| line == "close"));
        let told = log.all()[before..].join("\n");
        assert!(told.contains("error") && told.contains(why), "{told}");
        assert!(!told.contains("message"), "{told}");
        assert_eq!(listed(to.path()), [""; 0], "{why}");
    }
    drop(polled);
}

#[test]
fn a_client_that_leaves_leaves_nothing() {
    let to = tempdir().unwrap();
    let (_polled, address, log) = served(Uploads::to(to.path()));
    let half = &file("hello")[..60];
    for resets in [false, true] {
        let before = log.count("close");
        let client = asking(address, head("Content-Length: 1000") + half + &"x".repeat(500));
        wait_until("a hidden file", || listed(to.path()).iter().any(|name| name.starts_with(".upload-")));
        if resets {
            socket2::SockRef::from(&client).set_linger(Some(std::time::Duration::ZERO)).unwrap();
        }
        drop(client);
        wait_until("the close", || log.count("close") > before);
        wait_until("nothing is left", || listed(to.path()).is_empty());
    }
    assert!(!log.has("message"));
    assert_eq!(log.count("error the peer has ended its side in the middle of the body"), 1);
}

#[test]
fn an_upload_in_the_drain_arrives_whole() {
    let to = tempdir().unwrap();
    let log = Log::default();
    let mut manager =
        Manager::new(receiving(Uploads::to(to.path()).save_as(SaveAs::ClientName), log.clone()));
    let listener = manager.listen("http://127.0.0.1:0").unwrap();
    let body = file(&"x".repeat(100_000));
    let mut client =
        asking(address(&listener), head(&format!("Content-Length: {}", body.len())) + &body[..50_000]);
    poll_until(&mut manager, "a hidden file", || !listed(to.path()).is_empty());
    let client = std::thread::spawn(move || {
        // The drain has begun: it is told below, and waits.
        for piece in body.as_bytes()[50_000..].chunks(5_000) {
            client.write_all(piece).unwrap();
            std::thread::yield_now();
        }
        to_end(client)
    });
    let report = manager.drain(Instant::now() + LIMIT).unwrap();
    assert!(report.is_clean(), "{report}");
    assert!(client.join().unwrap().ends_with("f=a:100000:12000000"));
    assert_eq!(listed(to.path()), ["a"]);
}

#[test]
fn an_upload_is_cut_at_the_deadline() {
    let to = tempdir().unwrap();
    let log = Log::default();
    let mut manager = Manager::new(receiving(Uploads::to(to.path()), log.clone()));
    let listener = manager.listen("http://127.0.0.1:0").unwrap();
    let client = asking(address(&listener), head("Content-Length: 1000") + &file("hello")[..60]);
    poll_until(&mut manager, "a hidden file", || !listed(to.path()).is_empty());
    let report = manager.drain(Instant::now()).unwrap();
    assert!(!report.is_clean() && report.to_string().contains("POST /"), "{report}");
    assert!(to_end(client).starts_with("HTTP/1.1 503 "));
    assert_eq!(listed(to.path()), [""; 0]);
    assert!(!log.has("message"));
}

#[test]
fn an_answer_from_elsewhere_ends_the_form() {
    let to = tempdir().unwrap();
    let (polled, address, _) = served(Uploads::to(to.path()));
    let mut client = asking(address, head("Content-Length: 1000") + &file("hello")[..60]);
    wait_until("a hidden file", || !listed(to.path()).is_empty());
    let conn = polled.handle.connections().into_iter().find(|conn| !conn.is_listening()).unwrap();
    conn.try_reply(409, &[], "no more").unwrap();
    assert!(read_to(&mut client, "no more").starts_with("HTTP/1.1 409 "));
    wait_until("nothing is left", || listed(to.path()).is_empty());
}

#[test]
fn a_body_is_told_as_it_comes() {
    let log = Log::default();
    let handler = {
        let log = log.clone();
        move |conn: &Connection, event: Event<'_>| match event {
            Event::HttpHeaders(_) => {
                conn.stream_body(50_000_000).unwrap();
                conn.set_data(std::sync::Mutex::new((0_u64, 0_u64)));
            }
            Event::HttpBody(piece) => {
                let data = conn.data::<std::sync::Mutex<(u64, u64)>>().unwrap();
                let mut data = data.lock().unwrap();
                data.0 += piece.len() as u64;
                data.1 += piece.iter().map(|byte| u64::from(*byte)).sum::<u64>();
                assert!(piece.len() <= 1024 * 1024 && conn.received_len() <= 1024 * 1024);
            }
            Event::HttpMessage(request) => {
                assert!(request.body().is_empty());
                let data = conn.data::<std::sync::Mutex<(u64, u64)>>().unwrap();
                let (length, sum) = *data.lock().unwrap();
                conn.reply(200, &[], format!("{length} {sum}"));
            }
            Event::Error(text) => log.push(text),
            _ => {}
        }
    };
    let polled = Polled::new(handler);
    let address = polled.listen("http://127.0.0.1:0");
    let body: Vec<u8> = (0..20_000_000_u32).map(|i| (i % 251) as u8).collect();
    let sum: u64 = body.iter().map(|byte| u64::from(*byte)).sum();
    for chunk in [None, Some(1_000), Some(1_000_000)] {
        let mut client = client(address);
        let framing = match chunk {
            None => format!("Content-Length: {}", body.len()),
            Some(_) => "Transfer-Encoding: chunked".to_owned(),
        };
        client.write_all(head(&framing).as_bytes()).unwrap();
        for piece in body.chunks(chunk.unwrap_or(body.len())) {
            if chunk.is_some() {
                write!(client, "{:x}\r\n", piece.len()).unwrap();
            }
            client.write_all(piece).unwrap();
            client.write_all(if chunk.is_some() { b"\r\n" } else { b"" }).unwrap();
        }
        client.write_all(if chunk.is_some() { b"0\r\n\r\n" } else { b"" }).unwrap();
        let answer = to_end(client);
        assert!(answer.ends_with(&format!("{} {sum}", body.len())), "{chunk:?}: {answer}");
    }
    let refused = to_end(asking(address, head("Content-Length: 50000001")));
    assert!(refused.starts_with("HTTP/1.1 413 "), "{refused}");
    assert_eq!(log.all(), ["the body is longer than it may be"]);
}

/// The example, and its address. `before`: what a shell does first.
fn upload(directory: &TempDir, before: &str) -> (Probe, SocketAddr) {
    let mut command = Command::new("sh");
    let script = format!("{before} exec \"$0\" \"$@\"");
    command.args(["-c", &script]).arg(example("upload")).arg(directory.path()).arg("127.0.0.1:0");
    let program = Probe::of(command);
    let address = program.line().strip_prefix("serving ").unwrap().parse().unwrap();
    (program, address)
}

/// The most that a process has had in memory, in KiB (proc(5)).
fn high_water(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn three_hundred_megabytes_take_no_memory() {
    if !has_curl() {
        return;
    }
    let (from, to) = (tempdir().unwrap(), tempdir().unwrap());
    let sparse = from.path().join("sparse");
    fs::File::create(&sparse).unwrap().set_len(300_000_000).unwrap();
    let small = from.path().join("small");
    fs::write(&small, "hello").unwrap();
    let (program, address) = upload(&to, "");
    let send = |path: &Path| curl(address, &["-F", &format!("photo=@{}", path.display())]);
    assert_eq!(send(&small).1, "photo (small): 5 bytes as small\n\n200");
    let before = high_water(program.id());
    assert_eq!(send(&sparse).1, "photo (sparse): 300000000 bytes as sparse\n\n200");
    let after = high_water(program.id());
    assert!(after < before + 8 * 1024, "{before} KiB before, {after} KiB behind it");
    assert_eq!(fs::metadata(to.path().join("sparse")).unwrap().len(), 300_000_000);
    program.send(Signal::TERM);
    assert_eq!(program.end().0.code(), Some(0));
}

#[test]
fn a_full_disk_is_answered_and_named() {
    let to = tempdir().unwrap();
    // No file may be larger than that many blocks of 512 bytes; without the signal it is an error, as of a full disk.
    let (program, address) = upload(&to, "trap '' XFSZ; ulimit -f 200;");
    let answer = to_end(asking(address, with_length(&file(&"x".repeat(200_000)))));
    assert!(answer.starts_with("HTTP/1.1 507 "), "{answer}");
    let said = program.line();
    assert!(
        said.starts_with("error: the upload cannot be written to `") && said.contains(".upload-"),
        "{said}"
    );
    assert_eq!(listed(to.path()), [""; 0]);
    assert!(to_end(asking(address, with_length(&file("hello")))).ends_with("5 bytes as a\n"), "it goes on");
    fs::remove_dir_all(to.path()).unwrap();
    let answer = to_end(asking(address, with_length(&file("hello"))));
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    program.send(Signal::TERM);
    assert_eq!(program.end().0.code(), Some(0));
}

#[test]
fn a_stop_lets_an_upload_arrive() {
    let to = tempdir().unwrap();
    let (program, address) = upload(&to, "");
    let body = file(&"x".repeat(10_000));
    let mut client: TcpStream = asking(address, with_length(&body).strip_suffix(&body[5_000..]).unwrap());
    wait_until("a hidden file", || !listed(to.path()).is_empty());
    program.send(Signal::TERM);
    // It accepts nobody any more: the stop has begun.
    wait_until("the stop", || TcpStream::connect(address).is_err());
    client.write_all(&body.as_bytes()[5_000..]).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("10000 bytes as a\n"), "{answer}");
    let (status, said) = program.end();
    assert_eq!(status.code(), Some(0), "{said}");
}

/// A program that pauses behind each piece, until it is woken, and a client that sends so much by that connection.
fn sends_with_pauses<C: Read + Write + Send + 'static>(
    url: &str,
    how: Listen,
    size: u64,
    connects: impl FnOnce(SocketAddr) -> C,
) {
    let seen = Arc::new(AtomicU64::new(0));
    let handler = {
        let seen = Arc::clone(&seen);
        move |conn: &Connection, event: Event<'_>| match event {
            Event::HttpHeaders(_) => conn.stream_body(u64::MAX).unwrap(),
            Event::HttpBody(piece) => {
                conn.pause_body(true);
                seen.fetch_add(piece.len() as u64, Ordering::SeqCst);
            }
            Event::Wakeup(_) => conn.pause_body(false),
            Event::HttpMessage(_) => conn.reply(200, &[], "all of it"),
            _ => {}
        }
    };
    let polled = Polled::new(handler);
    let mut client = connects(polled.listen_with(url, how));
    let sending = std::thread::spawn(move || {
        client.write_all(head(&format!("Content-Length: {size}")).as_bytes()).unwrap();
        client.write_all(&vec![b'x'; size as usize]).unwrap();
        client.flush().unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        answer
    });
    let so_far = || seen.load(Ordering::SeqCst);
    wait_until("the first piece", || so_far() > 0);
    let conn = polled.handle.connections().into_iter().find(|conn| !conn.is_listening()).unwrap();
    // Passes of the loop, which read nothing: the kernel has taken what it can, and the client waits.
    let first = so_far();
    for _ in 0..50 {
        polled.handle.wake();
        assert!(conn.received_len() <= 64 * 1024);
    }
    assert_eq!(so_far(), first);
    assert!(!sending.is_finished());
    while !sending.is_finished() {
        let before = so_far();
        conn.wakeup("").ok();
        wait_until("the next piece", || so_far() > before || sending.is_finished());
    }
    assert!(sending.join().unwrap().ends_with("all of it"));
    assert_eq!(so_far(), size);
}

#[test]
fn a_pause_holds_the_client_back() {
    sends_with_pauses("http://127.0.0.1:0", Listen::new(), 30_000_000, client);
    // What TLS has read already waits as well, and is not forgotten.
    let how = Listen::new().tls(localhost().tls());
    sends_with_pauses("https://127.0.0.1:0", how, 8_000_000, tls_client);
}

#[test]
fn curl_says_who_it_is() {
    if !has_curl() {
        return;
    }
    let polled = Polled::new(|conn: &Connection, event: Event<'_>| {
        let Event::HttpHeaders(request) = event else { return };
        match (request.basic_auth(), request.bearer_token()) {
            (Some((user, password)), _) => conn.reply(200, &[], format!("{user} {password}")),
            (_, Some(token)) => conn.reply(200, &[], token),
            _ => conn.reply(401, &[("WWW-Authenticate", "Basic realm=\"a\", charset=\"UTF-8\"")], ""),
        }
    });
    let address = polled.listen("http://127.0.0.1:0");
    let table: &[(&[&str], &str)] = &[
        (&["--user", "Jürgen:a:ü b"], "Jürgen a:ü b\n200"),
        (&["--user", ":"], " \n200"),
        (&["--anyauth", "--user", "a:b"], "a b\n200"),
        (&["--oauth2-bearer", "abc"], "abc\n200"),
        (&[], "\n401"),
    ];
    for (arguments, expected) in table {
        assert_eq!(curl(address, arguments), (Some(0), (*expected).to_owned()), "{arguments:?}");
    }
}

#[test]
fn pieces_are_told_in_order() {
    let log = Log::default();
    let polled = Polled::new({
        let log = log.clone();
        move |conn: &Connection, event: Event<'_>| {
            match event {
                Event::HttpHeaders(_) => conn.stream_body(10).unwrap(),
                Event::HttpMessage(_) => conn.reply(200, &[], ""),
                _ => {}
            }
            if !matches!(event, Event::Poll | Event::Write(_)) {
                log.push(name(&event));
            }
        }
    });
    let address = polled.listen("http://127.0.0.1:0");
    log.push("connects");
    let mut client = asking(address, head("Content-Length: 6") + "abc");
    wait_until("the first read", || log.has("read"));
    client.write_all(b"def").unwrap();
    to_end(client);
    wait_until("the close", || log.has("close"));
    let connection = ["open", "accept", "headers", "body", "read", "body", "message", "read", "close"];
    assert_eq!(log.all(), [&["open", "connects"][..], &connection].concat());
}

/// Forms as Python's libraries make them: by hand, in one piece or as it is generated.
const PYTHON: &str = r#"
import http.client, sys
boundary = "c0ffee0123456789abcdef0123456789"
def part(disposition, content, extra=b""):
    head = b'--' + boundary.encode() + b'\r\nContent-Disposition: form-data; ' + disposition.encode() + b'\r\n'
    return head + extra + b'\r\n' + content + b'\r\n'
form = [
    part('name="note"', "zwei Wörter".encode()),
    part('name="f"; filename="a \\"b\\".txt"', b"hello", b"Content-Type: text/plain\r\n"),
    part("name=g; filename*=utf-8''%e2%82%ac.txt", b"\0" * 100000),
    b'--' + boundary.encode() + b'--\r\n',
]
headers = {"Content-Type": "multipart/form-data; boundary=" + boundary}
conn = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=60)
for body in [b"".join(form), iter(form), (b[i:i+1] for b in [b"".join(form[:2] + form[3:])] for i in range(len(b)))]:
    conn.request("POST", "/", body, headers)
    answer = conn.getresponse()
    sys.stdout.buffer.write(b"%d\n%s\n" % (answer.status, answer.read()))
"#;

#[test]
fn python_sends_forms() {
    if Command::new("python3").arg("--version").output().is_err() {
        eprintln!("SKIPPED: there is no python3; scripts/test-tools installs it");
        return;
    }
    let to = tempdir().unwrap();
    let (_polled, address, _) = served(Uploads::to(to.path()));
    let output =
        Command::new("python3").args(["-c", PYTHON]).arg(address.port().to_string()).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let small = "200\nnote=zwei Wörter\nf=a \"b\".txt:5:532\n";
    let whole = format!("{small}g=€.txt:100000:0\n");
    assert_eq!(said, format!("{whole}{whole}{small}"), "{}", String::from_utf8_lossy(&output.stderr));
}
