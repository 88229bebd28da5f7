//! Parts of files, and answers that depend on what the client has: by hand, for curl, and for Python.

use crate::files::{binary, folder, get, get_with, site};
use crate::foreign::{curl, is_there, said};
use exeunt_manager::Files;
use std::fs;
use std::process::Command;

#[test]
fn a_client_that_has_it_is_told_so() {
    let place = folder();
    let (_polled, address) =
        site(Files::open(place.path().join("site")).unwrap().header("Cache-Control", "no-cache"));
    for path in ["/hello.txt", "/large.bin"] {
        let got = get(address, path);
        let (tag, date) = (got.header("ETag").unwrap(), got.header("Last-Modified").unwrap());
        let table = [
            (format!("If-None-Match: {tag}\r\n"), 304),
            (format!("If-Modified-Since: {date}\r\n"), 304),
            ("If-None-Match: \"other\"\r\n".to_owned(), 200),
            ("If-Match: \"other\"\r\n".to_owned(), 412),
            (format!("If-Match: {tag}\r\n"), 200),
            (format!("Range: bytes=1-3\r\nIf-Range: {tag}\r\n"), 206),
            (format!("Range: bytes=1-3\r\nIf-Range: {date}\r\n"), 206),
            ("Range: bytes=1-3\r\nIf-Range: \"other\"\r\n".to_owned(), 200),
        ];
        for (fields, status) in table {
            let got = get_with(address, "GET", path, &fields);
            assert_eq!(got.status, status, "{path} {fields}");
            if status == 304 {
                assert_eq!((got.header("ETag"), got.header("Cache-Control")), (Some(tag), Some("no-cache")));
                assert_eq!(got.header("Content-Type"), None);
                assert_eq!(got.header("Content-Length"), None);
            }
        }
    }
    fs::write(place.path().join("site/hello.txt"), "other").unwrap();
    let got = get(address, "/hello.txt");
    let fields = format!("If-None-Match: {}\r\n", got.header("ETag").unwrap());
    assert_eq!(get_with(address, "GET", "/hello.txt", &fields).status, 304);
}

#[test]
fn parts_are_those_that_were_asked_for() {
    let place = folder();
    let (_polled, address) = site(Files::open(place.path().join("site")).unwrap());
    let whole = binary(100_000);
    let table = [
        ("0-0", 206, 0..1),
        ("0-99999", 206, 0..100_000),
        ("1-50000", 206, 1..50_001),
        ("99999-", 206, 99_999..100_000),
        ("70000-", 206, 70_000..100_000),
        ("-1", 206, 99_999..100_000),
        ("-200000", 206, 0..100_000),
        ("5-999999999999", 206, 5..100_000),
        ("0-1,5-6", 200, 0..100_000),
        ("5-1", 200, 0..100_000),
        ("100000-", 416, 0..0),
        ("-0", 416, 0..0),
    ];
    for (range, status, part) in table {
        let got = get_with(address, "GET", "/large.bin", &format!("Range: bytes={range}\r\n"));
        assert_eq!(got.status, status, "{range}");
        let said = match status {
            206 => Some(format!("bytes {}-{}/100000", part.start, part.end - 1)),
            416 => Some("bytes */100000".to_owned()),
            _ => None,
        };
        assert_eq!(got.header("Content-Range"), said.as_deref(), "{range}");
        if status != 416 {
            assert!(got.body == whole[part], "{range}");
        }
        let head = get_with(address, "HEAD", "/large.bin", &format!("Range: bytes={range}\r\n"));
        assert_eq!((head.status, head.header("Content-Length")), (200, Some("100000")), "{range}");
    }
}

#[test]
fn curl_gets_the_same_whole_in_parts_and_resumed() {
    if !is_there("curl") {
        return;
    }
    let place = folder();
    let whole: String = ('a'..='z').cycle().take(100_000).collect();
    fs::write(place.path().join("site/letters"), &whole).unwrap();
    let (_polled, address) = site(Files::open(place.path().join("site")).unwrap());
    for (range, part) in [("0-9", 0..10), ("90000-", 90_000..100_000), ("-7", 99_993..100_000)] {
        assert_eq!(curl(address, "/letters", &["-r", range]), whole[part], "{range}");
    }
    let target = place.path().join("resumed");
    let path = target.to_str().unwrap();
    fs::write(&target, &whole[..12_345]).unwrap();
    curl(address, "/letters", &["-C", "-", "-o", path]);
    assert_eq!(fs::read_to_string(&target).unwrap(), whole);
    let code = curl(address, "/letters", &["-z", path, "-w", "%{http_code}", "-o", "/dev/null"]);
    assert_eq!(code, "304", "the copy is younger");
    let code = curl(address, "/sub", &["-L", "-w", " %{http_code} %{num_redirects}"]);
    assert_eq!(code, "<p>sub 200 1");
    assert_eq!(curl(address, "/sub/../letters", &["--path-as-is"]), "400 Bad Request\n");
}

#[test]
fn python_gets_parts_and_is_told_what_it_has() {
    const SCRIPT: &str = "
import sys, urllib.error, urllib.request
url = f'http://127.0.0.1:{sys.argv[1]}/large.bin'
whole = urllib.request.urlopen(url)
data, tag = whole.read(), whole.headers['ETag']
assert data == bytes(at % 251 for at in range(100_000))
def ask(**fields):
    fields = {name.replace('_', '-'): value for name, value in fields.items()}
    try:
        answer = urllib.request.urlopen(urllib.request.Request(url, headers=fields))
        return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
for first, last in [(0, 0), (1, 70_000), (99_999, 99_999), (500, 200_000)]:
    assert ask(Range=f'bytes={first}-{last}') == (206, data[first:last + 1]), (first, last)
    assert ask(Range=f'bytes={first}-', If_Range=tag) == (206, data[first:]), first
    assert ask(Range=f'bytes={first}-', If_Range='\"other\"') == (200, data), first
assert ask(Range='bytes=-5') == (206, data[-5:])
assert ask(Range='bytes=100000-')[0] == 416
assert ask(If_None_Match=tag) == (304, b'')
assert ask(If_Match='\"other\"')[0] == 412
print('all is well')
";
    if !is_there("python3") {
        return;
    }
    let place = folder();
    let (_polled, address) = site(Files::open(place.path().join("site")).unwrap());
    let port = address.port().to_string();
    let output = Command::new("python3").args(["-c", SCRIPT, &port]).env("no_proxy", "*").output().unwrap();
    assert_eq!(said(&output), "all is well\n");
}
