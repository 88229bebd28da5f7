//! Addresses that are taken, and those that are not.

use super::*;

#[test]
fn addresses_are_taken_apart() {
    type Case = (&'static str, Scheme, &'static str, u16, &'static str);
    let table: &[Case] = &[
        ("http://127.0.0.1:8000", Scheme::Http, "127.0.0.1", 8000, "/"),
        ("http://localhost", Scheme::Http, "localhost", 80, "/"),
        ("HTTPS://Example.org/a?b=c#d", Scheme::Https, "Example.org", 443, "/a?b=c"),
        ("http://a?x=/@b", Scheme::Http, "a", 80, "/?x=/@b"),
        ("ws://a:1/chat", Scheme::Ws, "a", 1, "/chat"),
        ("wss://a", Scheme::Wss, "a", 443, "/"),
        ("mqtt://a", Scheme::Mqtt, "a", 1883, "/"),
        ("mqtts://a", Scheme::Mqtts, "a", 8883, "/"),
        ("tcp://0.0.0.0:0", Scheme::Tcp, "0.0.0.0", 0, "/"),
        ("tls://a:65535", Scheme::Tls, "a", 65_535, "/"),
        ("udp://:53", Scheme::Udp, "", 53, "/"),
        ("http://:8000/x", Scheme::Http, "", 8000, "/x"),
        ("http://*:80", Scheme::Http, "*", 80, "/"),
        ("http://a:/x", Scheme::Http, "a", 80, "/x"),
        ("localhost:80", Scheme::Tcp, "localhost", 80, "/"),
        (":1234", Scheme::Tcp, "", 1234, "/"),
        ("http://[::1]", Scheme::Http, "::1", 80, "/"),
        ("tcp://[::]:0", Scheme::Tcp, "::", 0, "/"),
        ("http://[::1]:/", Scheme::Http, "::1", 80, "/"),
        ("udp://[fe80::1%25eth0]:9", Scheme::Udp, "fe80::1%eth0", 9, "/"),
        ("udp://[fe80::1%3]:9", Scheme::Udp, "fe80::1%3", 9, "/"),
        ("http://u:p@[::1]:1", Scheme::Http, "::1", 1, "/"),
        ("http://bücher.example", Scheme::Http, "bücher.example", 80, "/"),
    ];
    for (text, scheme, host, port, uri) in table {
        let url = Url::parse(text).unwrap();
        assert_eq!(
            (url.scheme(), url.host(), url.port(), url.uri()),
            (*scheme, *host, *port, *uri),
            "{text}"
        );
        assert_eq!(url.socket(), None, "{text}");
    }
}

#[test]
fn users_are_decoded() {
    let table = [
        ("http://a", None, None),
        ("http://u@a", Some("u"), None),
        ("http://u:@a", Some("u"), Some("")),
        ("http://:p@a", Some(""), Some("p")),
        ("http://u%40x:p%3a:q@a", Some("u@x"), Some("p::q")),
        ("http://u@v:p@a", Some("u@v"), Some("p")),
        ("http://a/u:p@b", None, None),
    ];
    for (text, user, password) in table {
        let url = Url::parse(text).unwrap();
        assert_eq!((url.user(), url.password(), url.host()), (user, password, "a"), "{text}");
    }
}

#[test]
fn unix_sockets_have_a_path() {
    let table = [
        ("unix:/run/a.sock", Scheme::Unix, "/run/a.sock", "/"),
        ("unix:///run/a b.sock", Scheme::Unix, "/run/a b.sock", "/"),
        ("unix:a.sock", Scheme::Unix, "a.sock", "/"),
        ("unix:/a%2Fb?c", Scheme::Unix, "/a%2Fb?c", "/"),
        ("http+unix:/run/a.sock", Scheme::HttpUnix, "/run/a.sock", "/"),
        ("http+unix:///run/a.sock", Scheme::HttpUnix, "/run/a.sock", "/"),
        ("http+unix://%2Frun%2Fa.sock", Scheme::HttpUnix, "/run/a.sock", "/"),
        ("http+unix://%2Frun%2Fa.sock/x/y?z#f", Scheme::HttpUnix, "/run/a.sock", "/x/y?z"),
        ("http+unix:a/b", Scheme::HttpUnix, "a/b", "/"),
    ];
    for (text, scheme, socket, uri) in table {
        let url = Url::parse(text).unwrap();
        assert_eq!((url.scheme(), url.socket(), url.uri()), (scheme, Some(Path::new(socket)), uri), "{text}");
        assert_eq!((url.host(), url.port()), ("", 0), "{text}");
    }
}

#[test]
fn what_is_wrong_is_said() {
    let table = [
        ("", "the address is empty: write one like http://0.0.0.0:8000"),
        ("ftp://a", "`ftp://a` has the scheme `ftp`: write one of http, https"),
        ("tcp://a", "`tcp://a` has no port, and tcp has none of its own: write tcp://a:PORT"),
        ("tcp://[::1]", "`tcp://[::1]` has no port, and tcp has none of its own: write tcp://[::1]:PORT"),
        ("localhost", "`localhost` has no port, and tcp has none of its own: write tcp://localhost:PORT"),
        ("http://a:65536", "`http://a:65536` has the port `65536`: a port is a number from 0 to 65535"),
        ("http://a:+80", "`http://a:+80` has the port `+80`"),
        ("http://a:http", "`http://a:http` has the port `http`"),
        ("http://[::1]80", "`http://[::1]80` has the port `80`"),
        ("http://[::1", "`http://[::1` has `::1` in brackets, which is no IPv6 address"),
        ("http://[a]", "`http://[a]` has `a` in brackets"),
        ("http://[fe80::1%]", "`http://[fe80::1%]` has `fe80::1%` in brackets"),
        (
            "http://::1:80",
            "`http://::1:80` has more than one colon in its host: write an IPv6 address in brackets",
        ),
        ("http://a%20b", "`http://a%20b` has the character '%' in its host"),
        ("http://a*", "`http://a*` has the character '*' in its host"),
        ("http://a/ b", "`http://a/ b` has the character ' ': escape it"),
        ("http://a/\r\nb", "has the character '\\r': escape it"),
        ("unix:", "`unix:` has no path: write unix:/path/of/socket"),
        ("unix://run/a.sock", "`unix://run/a.sock` has no path: write unix:/path/of/socket"),
        ("http+unix://%00/", "`http+unix://%00/` has no path"),
    ];
    for (text, says) in table {
        let error = Url::parse(text).unwrap_err().to_string();
        assert!(error.contains(says), "{text:?}: {error}");
    }
}

#[test]
fn schemes_say_what_is_spoken() {
    let table = [
        ("http://a", false, true),
        ("https://a", true, true),
        ("ws://a", false, true),
        ("wss://a", true, true),
        ("http+unix:/a", false, true),
        ("tcp://a:1", false, false),
        ("tls://a:1", true, false),
        ("udp://a:1", false, false),
        ("mqtt://a", false, false),
        ("mqtts://a", true, false),
        ("unix:/a", false, false),
    ];
    for (text, tls, http) in table {
        let url = Url::parse(text).unwrap();
        assert_eq!((url.is_tls(), url.speaks_http()), (tls, http), "{text}");
        assert!(text.starts_with(url.scheme().as_str()), "{text}");
    }
}

#[test]
fn only_the_unreserved_is_not_escaped() {
    let unreserved = "ABCXYZabcxyz0189-_.~";
    assert_eq!(encode(unreserved), unreserved);
    for character in (0..128).map(char::from).filter(|character| !unreserved.contains(*character)) {
        let escaped = !character.is_ascii_alphanumeric();
        assert_eq!(encode(&character.to_string()).starts_with('%'), escaped, "{character:?}");
    }
    assert_eq!(encode("a b/ü&"), "a%20b%2F%C3%BC%26");
    assert_eq!(decode("a%20b%2f%C3%BC+%zz%"), "a b/ü+%zz%");
    assert_eq!(decode("%ff"), "\u{fffd}");
}
