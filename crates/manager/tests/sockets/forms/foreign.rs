//! Forms from clients that others wrote: curl, and Python.

use super::{curl, has_curl, listed, served};
use crate::support::Polled;
use exeunt_manager::{Connection, Event, Uploads};
use std::fs;
use std::process::Command;
use tempfile::tempdir;

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
