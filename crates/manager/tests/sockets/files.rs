//! Folders and files as answers.

use crate::support::{Polled, asking, client, read_to, to_bytes};
use exeunt_manager::{Connection, Event, Files};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use tempfile::TempDir;

/// Serves a folder.
pub(crate) fn site(files: Files) -> (Polled, SocketAddr) {
    let polled = Polled::new(move |conn: &Connection, event: Event<'_>| {
        if let Event::HttpMessage(request) = event {
            conn.serve_dir(request, &files).unwrap();
        }
    });
    let address = polled.listen("http://127.0.0.1:0");
    (polled, address)
}

/// A folder beside a secret, with files of all sorts in it.
pub(crate) fn folder() -> TempDir {
    let place = tempfile::tempdir().unwrap();
    let path = place.path();
    fs::create_dir_all(path.join("site/sub/deep")).unwrap();
    fs::create_dir(path.join("site/empty")).unwrap();
    fs::write(path.join("secret"), "secret").unwrap();
    fs::write(path.join("site/index.html"), "<p>root").unwrap();
    fs::write(path.join("site/hello.txt"), "hello\n").unwrap();
    fs::write(path.join("site/nothing"), "").unwrap();
    fs::write(path.join("site/large.bin"), binary(100_000)).unwrap();
    fs::write(path.join("site/sub/index.html"), "<p>sub").unwrap();
    fs::write(path.join("site/sub/deep/ü b.css"), "p{}").unwrap();
    fs::write(path.join("site/.env"), "hidden").unwrap();
    place
}

pub(crate) fn binary(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }
}

/// What comes for that request, which is the last of its connection. Its length is as it says.
pub(crate) fn get_with(address: SocketAddr, method: &str, path: &str, fields: &str) -> Got {
    let text = format!("{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n");
    let got = parsed(&to_bytes(asking(address, text)));
    if method != "HEAD" && got.status != 304 {
        assert_eq!(got.header("Content-Length").unwrap(), got.body.len().to_string(), "{path}: {}", got.head);
    } else {
        assert!(got.body.is_empty());
    }
    got
}

fn parsed(bytes: &[u8]) -> Got {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    Got { status: head[9..12].parse().unwrap(), head, body: bytes[end + 4..].to_vec() }
}

pub(crate) fn get(address: SocketAddr, path: &str) -> Got {
    get_with(address, "GET", path, "")
}

#[test]
fn files_are_served_with_their_types() {
    let place = folder();
    let (_polled, address) = site(Files::open(place.path().join("site")).unwrap());
    let table = [
        ("/", "text/html; charset=utf-8", b"<p>root".to_vec()),
        ("/index.html", "text/html; charset=utf-8", b"<p>root".to_vec()),
        ("/hello.txt?x=1", "text/plain; charset=utf-8", b"hello\n".to_vec()),
        ("/nothing", "application/octet-stream", Vec::new()),
        ("/large.bin", "application/octet-stream", binary(100_000)),
        ("/sub/", "text/html; charset=utf-8", b"<p>sub".to_vec()),
        ("/sub/deep/%C3%BC%20b.css", "text/css; charset=utf-8", b"p{}".to_vec()),
        ("/sub/deep/ü%20b.css", "text/css; charset=utf-8", b"p{}".to_vec()),
        ("/.env", "application/octet-stream", b"hidden".to_vec()),
    ];
    for (path, content_type, body) in table {
        let got = get(address, path);
        assert_eq!((got.status, got.header("Content-Type")), (200, Some(content_type)), "{path}");
        assert_eq!(got.header("Accept-Ranges"), Some("bytes"), "{path}");
        assert!(got.body == body, "{path}");
        let head = get_with(address, "HEAD", path, "");
        assert_eq!(head.header("Content-Length"), Some(body.len().to_string().as_str()), "{path}");
        assert_eq!((head.status, head.header("ETag")), (200, got.header("ETag")), "{path}");
    }
}

#[test]
fn what_is_not_there_or_not_to_be_had_is_refused() {
    let place = folder();
    let site_path = place.path().join("site");
    for (link, to) in [
        ("in", "sub/index.html"),
        ("out", "../secret"),
        ("out-folder", ".."),
        ("proc", "/proc/self/fd/0"),
        ("proc-root", "/proc/self/root"),
    ] {
        symlink(to, site_path.join(link)).unwrap();
    }
    symlink(place.path().join("secret"), site_path.join("absolute")).unwrap();
    symlink(site_path.join("hello.txt"), site_path.join("absolute-in")).unwrap();
    mknodat(CWD, site_path.join("fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(site_path.join("socket")).unwrap();
    fs::write(site_path.join("closed"), "closed").unwrap();
    fs::set_permissions(site_path.join("closed"), fs::Permissions::from_mode(0o0)).unwrap();
    let closed = if fs::read(site_path.join("closed")).is_ok() {
        eprintln!("SKIPPED: that a file which may not be read is 403: this runs as root, who may");
        200
    } else {
        403
    };
    let (_polled, address) = site(Files::open(&site_path).unwrap());
    let table = [
        ("/none", 404),
        ("/sub/none", 404),
        ("/hello.txt/", 404),
        ("/hello.txt/none", 404),
        ("/empty/", 404),
        ("/in", 200),
        ("/in/", 404),
        ("/out", 404),
        ("/out-folder/", 404),
        ("/out-folder/secret", 404),
        ("/proc", 404),
        ("/proc-root/etc/passwd", 404),
        ("/absolute", 404),
        ("/absolute-in", 404),
        ("/fifo", 404),
        ("/socket", 404),
        ("/closed", closed),
        ("/..", 400),
        ("/../secret", 400),
        ("/sub/../hello.txt", 400),
        ("/sub/..", 400),
        ("/./hello.txt", 400),
        ("/%2e%2e/secret", 400),
        ("/.%2E/secret", 400),
        ("/..%2fsecret", 400),
        ("/sub%2findex.html", 400),
        ("/%2fetc/passwd", 400),
        ("/hello.txt%00", 400),
        ("/hello.txt%00.html", 400),
        ("/%zz", 400),
        ("/..%5csecret", 404),
        ("/\\..\\secret", 404),
        ("/%252e%252e/secret", 404),
        ("//", 404),
        ("//hello.txt", 404),
        ("//etc/passwd", 404),
        ("/sub//index.html", 404),
        ("http://elsewhere/hello.txt", 200),
        ("http://elsewhere/../secret", 400),
    ];
    let long = format!("/{}", "x".repeat(300));
    let deep = "/x".repeat(3000);
    for (path, status) in table.into_iter().chain([(long.as_str(), 404), (deep.as_str(), 404)]) {
        let got = get(address, path);
        assert_eq!(got.status, status, "{path}");
        assert!(!got.body.ends_with(b"secret"), "{path}");
        if status != 200 {
            assert_eq!(got.header("Content-Type"), Some("text/plain; charset=utf-8"), "{path}");
            assert!(got.text().starts_with(&status.to_string()), "{path}");
        }
        assert_eq!(get_with(address, "HEAD", path, "").status, status, "HEAD {path}");
    }
}

#[test]
fn other_methods_are_refused_and_leave_the_connection_alone() {
    let place = folder();
    let (_polled, address) = site(Files::open(place.path().join("site")).unwrap());
    let mut client = client(address);
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "get"] {
        write!(client, "{method} /hello.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nxx").unwrap();
        let text = read_to(&mut client, "405 Method Not Allowed\n");
        assert!(text.contains("\r\nAllow: GET, HEAD\r\n"), "{text}");
    }
    client.write_all(b"GET /hello.txt HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    read_to(&mut client, "hello\n");
}

#[test]
fn a_folder_without_its_slash_is_elsewhere() {
    let place = folder();
    fs::create_dir(place.path().join("site/a:b ü")).unwrap();
    let (_polled, address) = site(Files::open(place.path().join("site")).unwrap().header("X-Own", "1"));
    for (path, location) in [
        ("/sub", "/sub/"),
        ("/sub?x=1", "/sub/?x=1"),
        ("/sub/deep", "/sub/deep/"),
        ("/a:b%20ü", "/a:b%20%C3%BC/"),
    ] {
        let got = get(address, path);
        assert_eq!((got.status, got.header("Location")), (301, Some(location)), "{path}");
        assert_eq!(got.header("X-Own"), Some("1"));
    }
}

#[test]
fn a_folder_is_listed_on_demand() {
    let place = folder();
    let path = place.path().join("site");
    let (_polled, address) = site(Files::open(&path).unwrap().listing(true));
    assert_eq!(get(address, "/sub/").body, b"<p>sub", "the index goes before");
    let got = get(address, "/sub/deep/");
    assert_eq!(got.header("Content-Type"), Some("text/html; charset=utf-8"));
    assert!(got.text().contains("<a href=\"%C3%BC%20b.css\">ü b.css</a>"), "{}", got.text());
    assert!(got.text().contains("<title>/sub/deep/</title>") && got.text().contains("\"../\""));
    assert_eq!(get_with(address, "HEAD", "/sub/deep/", "").status, 200);
    let (_polled, address) = site(Files::open(&path).unwrap().listing(true).index(""));
    let text = get(address, "/").text().to_owned();
    assert!(text.contains("\"index.html\"") && text.contains("\"sub/\""), "{text}");
    assert!(!text.contains(".env") && !text.contains("../"), "{text}");
}

#[test]
fn options_are_followed() {
    let place = folder();
    let page = place.path().join("404.html");
    fs::write(&page, "<p>gone").unwrap();
    let files = Files::open(place.path().join("site"))
        .unwrap()
        .prefix("/static/")
        .hidden(false)
        .index("hello.txt")
        .header("Cache-Control", "max-age=60")
        .content_type("txt", "text/x-own")
        .page404(&page, 200);
    let (_polled, address) = site(files);
    for (path, status, body) in [
        ("/static/", 200, "hello\n"),
        ("/static/hello.txt", 200, "hello\n"),
        ("/static", 301, "301 Moved Permanently\n"),
        ("/hello.txt", 200, "<p>gone"),
        ("/static/none", 200, "<p>gone"),
        ("/static/.env", 200, "<p>gone"),
    ] {
        let got = get(address, path);
        assert_eq!((got.status, got.text()), (status, body), "{path}");
        assert_eq!(got.header("Cache-Control"), Some("max-age=60"), "{path}");
    }
    assert_eq!(get(address, "/static/").header("Content-Type"), Some("text/x-own"));
    assert_eq!(get(address, "/none").header("Content-Type"), Some("text/html; charset=utf-8"));
    assert_eq!(get(address, "/static/..").status, 400);
    assert_eq!(get(address, "/static/..").header("Cache-Control"), None, "a refusal is not kept");
    fs::remove_file(&page).unwrap();
    assert_eq!(get(address, "/none").text(), "404 Not Found\n");
}

#[test]
fn one_file_is_served_wherever_it_is() {
    let place = folder();
    let (file, link) = (place.path().join("secret"), place.path().join("link"));
    symlink(&file, &link).unwrap();
    let polled = Polled::new(move |conn: &Connection, event: Event<'_>| {
        if let Event::HttpMessage(request) = event {
            let path = match request.uri() {
                "/file" => file.clone(),
                "/link" => link.clone(),
                "/folder" => file.parent().unwrap().to_owned(),
                _ => file.join("none"),
            };
            let files = Files::without_folder().header("X-Own", "1");
            match request.uri() {
                "/dir" => conn.serve_dir(request, &files).unwrap(),
                _ => conn.serve_file(request, path, &files).unwrap(),
            }
            let again = conn.serve_file(request, &file, &files);
            assert!(matches!(again, Err(exeunt_manager::AnswerError::Answered)), "{again:?}");
        }
    });
    let address = polled.listen("http://127.0.0.1:0");
    for (path, status, body) in [
        ("/file", 200, "secret"),
        ("/link", 200, "secret"),
        ("/folder", 404, "404 Not Found\n"),
        ("/none", 404, "404 Not Found\n"),
        ("/dir", 404, "404 Not Found\n"),
    ] {
        let got = get(address, path);
        assert_eq!((got.status, got.text()), (status, body), "{path}");
    }
    assert_eq!(get(address, "/file").header("X-Own"), Some("1"));
    assert_eq!(get_with(address, "POST", "/file", "").status, 405);
}

#[test]
fn any_thread_may_serve_and_none_twice() {
    let place = folder();
    let files = Files::open(place.path().join("site")).unwrap();
    let (kept, next) = std::sync::mpsc::channel();
    let polled = Polled::new(move |conn: &Connection, event: Event<'_>| {
        if let Event::HttpMessage(request) = event {
            kept.send((conn.clone(), request.clone())).unwrap();
        }
    });
    let address = polled.listen("http://127.0.0.1:0");
    let mut client = client(address);
    for (path, end) in [("/large.bin", &binary(100_000)[99_990..]), ("/hello.txt", b"hello\n")] {
        write!(client, "GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        let (conn, request) = next.recv().unwrap();
        conn.serve_dir(&request, &files).unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(end) {
            let mut piece = [0; 4096];
            let length = client.read(&mut piece).unwrap();
            assert!(length > 0);
            answer.extend_from_slice(&piece[..length]);
        }
        let again = conn.serve_dir(&request, &files);
        assert!(matches!(again, Err(exeunt_manager::AnswerError::Answered)), "{again:?}");
    }
}

#[test]
fn fields_that_are_none_are_an_error_and_leave_the_request_to_the_program() {
    let place = folder();
    let files = |name: &str, value: &str| Files::open(place.path().join("site")).unwrap().header(name, value);
    let wrong = [
        files("a b", "1"),
        files("X", "1\r\nY: 2"),
        files("Content-Length", "3"),
        files("Transfer-Encoding", "chunked"),
    ];
    let polled = Polled::new(move |conn: &Connection, event: Event<'_>| {
        if let Event::HttpMessage(request) = event {
            for files in &wrong {
                let error = conn.serve_dir(request, files).unwrap_err();
                assert!(matches!(error, exeunt_manager::AnswerError::Reply(_)), "{error}");
            }
            conn.reply(200, &[], "answered all the same");
        }
    });
    let address = polled.listen("http://127.0.0.1:0");
    for path in ["/hello.txt", "/large.bin"] {
        assert_eq!(get(address, path).text(), "answered all the same", "{path}");
    }
}
