//! Files that are larger than what the kernel takes at once.

use crate::certificates::{localhost, tls_asking};
use crate::files::{binary, site};
use crate::support::{
    GET, LAST, LIMIT, Log, Polled, address, asking, name, poll_until, read_to, to_bytes, wait_until,
};
use exeunt_manager::{Connection, Event, Files, Limits, Listen, Manager};
use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const SIZE: usize = 20_000_000;

/// A folder with a file of that size.
fn folder() -> TempDir {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("index.html"), binary(SIZE)).unwrap();
    place
}

fn serving(place: &TempDir) -> impl Fn(&Connection, Event<'_>) + Send + Sync + 'static {
    let files = Files::open(place.path()).unwrap();
    move |conn, event| {
        if let Event::HttpMessage(request) = event {
            conn.serve_dir(request, &files).unwrap();
        }
    }
}

fn body(answer: &[u8]) -> &[u8] {
    &answer[answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4..]
}

/// Reads an answer's head and a little more: its file is under way then, and far from its end.
fn begin(client: &mut TcpStream) -> Vec<u8> {
    let mut begun = vec![0; 10_000];
    client.read_exact(&mut begun).unwrap();
    begun
}

#[test]
fn a_file_arrives_whole_and_the_program_is_told_of_its_bytes() {
    let place = folder();
    let (serves, sent) = (serving(&place), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&sent);
    let polled = Polled::new(move |conn: &Connection, event: Event<'_>| match event {
        Event::Write(bytes) => _ = count.fetch_add(bytes, Ordering::SeqCst),
        event => serves(conn, event),
    });
    let address = polled.listen("http://127.0.0.1:0");
    let readers: Vec<_> = (0..3).map(|_| asking(address, LAST)).collect();
    let readers = readers.into_iter().map(|client| std::thread::spawn(move || to_bytes(client)));
    let answers: Vec<_> = readers.collect::<Vec<_>>().into_iter().map(|one| one.join().unwrap()).collect();
    assert!(answers.iter().all(|answer| body(answer) == binary(SIZE)));
    assert_eq!(sent.load(Ordering::SeqCst), answers.iter().map(Vec::len).sum::<usize>());
}

#[test]
fn who_reads_slowly_gets_it_whole_and_the_next_answer_behind_it() {
    let place = folder();
    fs::write(place.path().join("small"), "small").unwrap();
    let (polled, address) = site(Files::open(place.path()).unwrap());
    let small = GET.replace("GET / ", "GET /small ");
    let mut client = asking(address, [GET, &small, LAST].concat());
    let mut answer = begin(&mut client);
    let conn = polled.handle.connections().pop().unwrap();
    assert!(conn.is_writable(), "most of it is still in the file");
    assert!(conn.unsent_len() < 100_000, "and not in memory: {}", conn.unsent_len());
    while answer.len() < 1_000_000 {
        let mut piece = [0; 1000];
        let length = client.read(&mut piece).unwrap();
        answer.extend_from_slice(&piece[..length]);
    }
    client.read_to_end(&mut answer).unwrap();
    let (first, rest) = body(&answer).split_at(SIZE);
    assert!(first == binary(SIZE));
    assert_eq!(&body(rest)[..5], b"small");
    assert!(body(&body(rest)[5..]) == binary(SIZE));
}

#[test]
fn files_of_any_size_arrive_whole_plain_and_over_tls() {
    let place = tempfile::tempdir().unwrap();
    // Around what is read at once, what a buffer is filled with, and what one peer has in a turn.
    let limits = [16 * 1024, 64 * 1024, 1024 * 1024];
    let sizes: Vec<_> = [0, 1].into_iter().chain(limits.into_iter().flat_map(|at| at - 1..=at + 1)).collect();
    for size in &sizes {
        fs::write(place.path().join(size.to_string()), binary(*size)).unwrap();
    }
    let polled = Polled::new(serving(&place));
    let plain = polled.listen("http://127.0.0.1:0");
    let secured = polled.listen_with("https://127.0.0.1:0", Listen::new().tls(localhost().tls()));
    for size in sizes {
        let request = LAST.replace("/ ", &format!("/{size} "));
        assert!(body(&to_bytes(asking(plain, &request))) == binary(size), "{size}");
        let mut answer = Vec::new();
        tls_asking(secured, &request).read_to_end(&mut answer).unwrap();
        assert!(body(&answer) == binary(size), "{size} over TLS");
    }
}

#[test]
fn many_requests_may_wait_behind_each_other() {
    let place = tempfile::tempdir().unwrap();
    for size in [0, 100, 20_000, 300_000] {
        fs::write(place.path().join(size.to_string()), binary(size)).unwrap();
    }
    let (_polled, address) = site(Files::open(place.path()).unwrap());
    let sizes: Vec<usize> = [0, 20_000, 100, 300_000, 20_000].repeat(40);
    let requests: String = sizes.iter().map(|size| GET.replace("/ ", &format!("/{size} "))).collect();
    let client = asking(address, requests + &LAST.replace("/ ", "/none "));
    let answers = to_bytes(client);
    let mut rest = answers.as_slice();
    for size in sizes {
        let (answer, behind) = body(rest).split_at(size);
        assert!(answer == binary(size), "{size}");
        rest = behind;
    }
    assert!(rest.starts_with(b"HTTP/1.1 404 "));
}

#[test]
fn a_unix_socket_takes_files_as_well() {
    let place = folder();
    let socket = place.path().join("socket");
    let polled = Polled::new(serving(&place));
    polled.handle.listen(&format!("http+unix:{}", socket.display())).unwrap();
    let mut client = std::os::unix::net::UnixStream::connect(&socket).unwrap();
    std::io::Write::write_all(&mut client, LAST.as_bytes()).unwrap();
    client.set_read_timeout(Some(LIMIT)).unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).unwrap();
    assert!(body(&answer) == binary(SIZE));
}

#[test]
fn tls_takes_files_as_well_and_memory_holds_little_of_them() {
    let place = folder();
    let (serves, most) = (serving(&place), Arc::new(AtomicUsize::new(0)));
    let waiting = Arc::clone(&most);
    let polled = Polled::new(move |conn: &Connection, event: Event<'_>| {
        if let Event::Write(_) = event {
            waiting.fetch_max(conn.unsent_len(), Ordering::SeqCst);
        }
        serves(conn, event);
    });
    let address = polled.listen_with("https://127.0.0.1:0", Listen::new().tls(localhost().tls()));
    let mut client = tls_asking(address, [GET, LAST].concat());
    let mut answer = vec![0; 10_000];
    client.read_exact(&mut answer).unwrap();
    client.read_to_end(&mut answer).unwrap();
    let (first, rest) = body(&answer).split_at(SIZE);
    assert!(first == binary(SIZE) && body(rest) == binary(SIZE));
    assert!(most.load(Ordering::SeqCst) <= 128 * 1024, "{most:?} bytes waited");
}

#[test]
fn a_file_that_becomes_shorter_ends_tls_without_a_word_of_farewell() {
    let place = folder();
    let polled = Polled::new(serving(&place));
    let address = polled.listen_with("https://127.0.0.1:0", Listen::new().tls(localhost().tls()));
    let mut client = tls_asking(address, GET);
    client.read_exact(&mut [0; 10_000]).unwrap();
    File::options().write(true).open(place.path().join("index.html")).unwrap().set_len(5000).unwrap();
    let error = client.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
}

#[test]
fn a_drain_delivers_it_whole() {
    let place = folder();
    let mut manager = Manager::new(serving(&place));
    let listener = manager.listen("http://127.0.0.1:0").unwrap();
    let mut client = asking(address(&listener), GET);
    let handle = manager.handle();
    poll_until(&mut manager, "the file", || handle.connections().iter().any(Connection::is_writable));
    let reader = std::thread::spawn(move || {
        let mut answer = begin(&mut client);
        client.read_to_end(&mut answer).unwrap();
        answer
    });
    let report = manager.drain(Instant::now() + LIMIT).unwrap();
    assert!(report.is_clean(), "{report}");
    assert!(body(&reader.join().unwrap()) == binary(SIZE));
}

#[test]
fn the_deadline_cuts_it_with_a_reset_and_names_it() {
    let place = folder();
    let mut manager = Manager::new(serving(&place));
    let listener = manager.listen("http://127.0.0.1:0").unwrap();
    let mut client = asking(address(&listener), GET);
    let handle = manager.handle();
    poll_until(&mut manager, "the file", || handle.connections().iter().any(Connection::is_writable));
    let report = manager.drain(Instant::now() + Duration::from_millis(50)).unwrap();
    let names: Vec<_> = report.cut.iter().map(|cut| cut.name.as_str()).collect();
    assert_eq!((report.cut_count, names), (1, vec!["GET /"]));
    assert_eq!(client.read_to_end(&mut Vec::new()).unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_file_that_becomes_shorter_ends_in_a_reset_and_the_program_is_told() {
    let place = folder();
    let (serves, log) = (serving(&place), Log::default());
    let told = log.clone();
    let polled = Polled::new(move |conn: &Connection, event: Event<'_>| {
        if !matches!(event, Event::Write(_) | Event::Poll) {
            told.push(name(&event));
        }
        serves(conn, event);
    });
    let mut client = asking(polled.listen("http://127.0.0.1:0"), GET);
    let mut answer = begin(&mut client);
    File::options().write(true).open(place.path().join("index.html")).unwrap().set_len(5000).unwrap();
    assert_eq!(client.read_to_end(&mut answer).unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert!(answer.len() < SIZE);
    wait_until("the end", || log.has("close"));
    let errors: Vec<_> = log.all().into_iter().filter(|told| told.starts_with("error ")).collect();
    assert!(errors.len() == 1 && errors[0].contains("became shorter"), "{errors:?}");
    // A shorter file is served as that.
    client = asking(polled.listen("http://127.0.0.1:0"), LAST);
    assert!(body(&to_bytes(client)) == &binary(SIZE)[..5000]);
}

#[test]
fn of_a_file_that_grows_what_was_promised_is_sent() {
    let place = folder();
    let (_polled, address) = site(Files::open(place.path()).unwrap());
    let mut client = asking(address, GET);
    let mut answer = begin(&mut client);
    let mut file = File::options().append(true).open(place.path().join("index.html")).unwrap();
    std::io::Write::write_all(&mut file, b"HTTP/1.1 200 grown").unwrap();
    let head = answer.len() - body(&answer).len();
    let mut rest = vec![0; head + SIZE - answer.len()];
    client.read_exact(&mut rest).unwrap();
    answer.extend_from_slice(&rest);
    assert!(body(&answer) == binary(SIZE));
    std::io::Write::write_all(&mut client, GET.replace("/ ", "/none ").as_bytes()).unwrap();
    assert!(read_to(&mut client, "404 Not Found\n").starts_with("HTTP/1.1 404 "));
}

#[test]
fn who_takes_nothing_of_it_is_reset() {
    let place = folder();
    let mut limits = Limits::default();
    limits.write_stall = Duration::from_millis(200);
    let polled = Polled::of(Manager::with_limits(limits, serving(&place)));
    let mut client = asking(polled.listen("http://127.0.0.1:0"), GET);
    wait_until("the client", || polled.handle.connections().len() == 2);
    wait_until("the reset", || polled.handle.connections().len() == 1);
    assert_eq!(client.read_to_end(&mut Vec::new()).unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_file_lets_the_others_have_their_turns() {
    let place = folder();
    let (serves, writes) = (serving(&place), Arc::new(Mutex::new(Vec::new())));
    let told = Arc::clone(&writes);
    let mut manager = Manager::new(move |conn: &Connection, event: Event<'_>| match event {
        Event::Write(bytes) => told.lock().unwrap().push(bytes),
        event => serves(conn, event),
    });
    let listener = manager.listen("http://127.0.0.1:0").unwrap();
    // The listener has its place before the client comes, who else would have two turns in his first pass.
    manager.poll(Duration::ZERO).unwrap();
    let client = asking(address(&listener), LAST);
    let reader = std::thread::spawn(move || to_bytes(client).len());
    let (began, mut most) = (Instant::now(), 0);
    while !reader.is_finished() {
        assert!(began.elapsed() < LIMIT);
        manager.poll(Duration::from_millis(20)).unwrap();
        most = most.max(writes.lock().unwrap().drain(..).sum::<usize>());
    }
    assert!(reader.join().unwrap() > SIZE);
    assert!(most <= 2 * 1024 * 1024, "{most} bytes in one pass");
}
