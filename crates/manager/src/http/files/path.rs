//! Which file a URL's path means.

use percent_encoding::{AsciiSet, CONTROLS, percent_decode, utf8_percent_encode};

/// A place in the folder.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Relative; empty for the folder itself.
    pub(super) path: Vec<u8>,
    /// The URL ends with a slash: a folder is meant.
    pub(super) slash: bool,
}

/// Takes a path apart, decodes each segment, once, and puts them together again.
///
/// # Errors
///
/// The status of the answer. 400: a segment is `.` or `..`, has an escape that is none, a slash or NUL. 404: it is not
/// below `prefix`, a segment is empty but the last, or, unless `hidden`, begins with a dot.
pub(super) fn resolve(uri: &str, prefix: &[Vec<u8>], hidden: bool) -> Result<Wanted, u16> {
    let Some(rest) = uri.strip_prefix('/') else { return Err(404) };
    let mut path = Vec::with_capacity(rest.len());
    let mut prefix = prefix.iter();
    let mut slash = false;
    for segment in rest.split('/') {
        if slash {
            // The one before was empty, and was not the last.
            return Err(404);
        }
        slash = segment.is_empty();
        if slash {
            continue;
        }
        let name = decode(segment)?;
        match prefix.next() {
            Some(expected) if *expected != name => return Err(404),
            Some(_) => continue,
            None => {}
        }
        if !hidden && name.starts_with(b".") && name != b".well-known" {
            return Err(404);
        }
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(&name);
    }
    match prefix.next() {
        Some(_) => Err(404),
        None => Ok(Wanted { path, slash }),
    }
}

/// The same place with a slash behind it, to be told in a `Location`. It begins with one slash and no second, so that
/// nobody takes its first segment for a host.
pub(super) fn with_slash(uri: &str, query: &str) -> String {
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{}/{mark}{}", utf8_percent_encode(uri, FOREIGN), utf8_percent_encode(query, FOREIGN))
}

/// What may not be in a URL, or is read in two ways (a browser takes `\` for a slash). Escapes stay as they are.
const FOREIGN: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

fn decode(segment: &str) -> Result<Vec<u8>, u16> {
    let bytes = segment.as_bytes();
    let mut escapes = memchr::memchr_iter(b'%', bytes);
    let is_escape = |at: usize| matches!(bytes.get(at + 1..at + 3), Some(digits) if digits.iter().all(u8::is_ascii_hexdigit));
    if !escapes.all(is_escape) {
        return Err(400);
    }
    let name: Vec<u8> = percent_decode(bytes).collect();
    match name.as_slice() {
        b"." | b".." => Err(400),
        name if name.iter().any(|byte| matches!(byte, b'/' | 0)) => Err(400),
        _ => Ok(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The path, and whether a slash is behind it; or the status.
    type Expected = Result<(&'static str, bool), u16>;

    fn wanted(expected: Expected) -> Result<Wanted, u16> {
        expected.map(|(path, slash)| Wanted { path: path.as_bytes().to_vec(), slash })
    }

    #[test]
    fn paths_stay_in_the_folder() {
        let table: &[(&str, Expected)] = &[
            ("/", Ok(("", true))),
            ("/a", Ok(("a", false))),
            ("/a/", Ok(("a", true))),
            ("/a/b.txt", Ok(("a/b.txt", false))),
            ("/a%20b+c", Ok(("a b+c", false))),
            ("/%C3%BC/ü", Ok(("ü/ü", false))),
            ("/...", Ok(("...", false))),
            ("/.git/config", Ok((".git/config", false))),
            ("/a\\..\\b", Ok(("a\\..\\b", false))),
            ("/%252e%252e", Ok(("%2e%2e", false))),
            ("/..", Err(400)),
            ("/../etc/passwd", Err(400)),
            ("/a/../b", Err(400)),
            ("/a/..", Err(400)),
            ("/.", Err(400)),
            ("/./a", Err(400)),
            ("/%2e%2e/etc/passwd", Err(400)),
            ("/.%2E/", Err(400)),
            ("/..%2fetc", Err(400)),
            ("/a%2Fb", Err(400)),
            ("/%00", Err(400)),
            ("/a%00.html", Err(400)),
            ("/%", Err(400)),
            ("/%4", Err(400)),
            ("/%zz", Err(400)),
            ("/a%+1", Err(400)),
            ("//", Err(404)),
            ("//etc/passwd", Err(404)),
            ("/a//b", Err(404)),
            ("/a//", Err(404)),
            ("*", Err(404)),
            ("host:80", Err(404)),
            ("", Err(404)),
        ];
        for (uri, expected) in table {
            assert_eq!(resolve(uri, &[], true), wanted(*expected), "{uri}");
        }
    }

    proptest! {
        #[test]
        fn no_path_leads_up_or_to_the_root(uri in "/([a./%]|%2e|%2F|%00|\\\\|\\.\\.){0,12}") {
            if let Ok(Wanted { path, .. }) = resolve(&uri, &[], true) {
                prop_assert!(!path.starts_with(b"/") && !path.contains(&0), "{uri}");
                let mut names = path.split(|byte| *byte == b'/');
                let fine = |name: &[u8]| !matches!(name, b"." | b"..") && (!name.is_empty() || path.is_empty());
                prop_assert!(names.all(fine), "{uri}");
            }
        }
    }

    #[test]
    fn hidden_names_are_served_on_demand() {
        for (uri, found) in [
            ("/.git/config", false),
            ("/a/.env", false),
            ("/.well-known/a", true),
            ("/a.b", true),
            ("/...", false),
        ] {
            assert_eq!(resolve(uri, &[], false).is_ok(), found, "{uri}");
            assert!(resolve(uri, &[], true).is_ok(), "{uri}");
        }
    }

    #[test]
    fn a_prefix_is_left_out_and_must_be_there() {
        let prefix = [b"static".to_vec(), b"x y".to_vec()];
        for (uri, expected) in [
            ("/static/x%20y/a/b", Ok(("a/b", false))),
            ("/st%61tic/x%20y/", Ok(("", true))),
            ("/static/x%20y", Ok(("", false))),
            ("/static", Err(404)),
            ("/static/x%20yz", Err(404)),
            ("/a", Err(404)),
            ("/", Err(404)),
            ("/static/x%20y/..", Err(400)),
        ] {
            assert_eq!(resolve(uri, &prefix, true), wanted(expected), "{uri}");
        }
    }

    #[test]
    fn a_redirect_stays_at_this_host() {
        assert_eq!(with_slash("/a%20b", ""), "/a%20b/");
        assert_eq!(with_slash("/a:b", "x=1&y=%2f"), "/a:b/?x=1&y=%2f");
        assert_eq!(with_slash("/\\evil.example", "\u{fc}\"<"), "/%5Cevil.example/?%C3%BC%22%3C");
        assert!(resolve("//evil.example", &[], true).is_err(), "and so has no slash behind it");
    }
}
