//! Forms, whole and cut anywhere.

use super::*;
use proptest::prelude::*;

/// What a form came to: each part's names and content.
type Told = Vec<(String, Option<String>, Vec<u8>)>;

/// Reads it in reads of that size.
fn read(boundary: &str, body: &[u8], size: usize) -> Result<Told, MultipartError> {
    let mut form = Multipart::with_boundary(boundary)?;
    let (mut told, mut open) = (Told::new(), false);
    for mut read in body.chunks(size.max(1)) {
        while let Some(piece) = form.next_piece(&mut read)? {
            match piece {
                Piece::Part(part) => {
                    assert!(!std::mem::replace(&mut open, true));
                    told.push((part.name().to_owned(), part.filename().map(str::to_owned), Vec::new()));
                }
                Piece::Data(data) => {
                    assert!(open && !data.is_empty());
                    told.last_mut().unwrap().2.extend_from_slice(data);
                }
                Piece::End => assert!(std::mem::replace(&mut open, false)),
            }
        }
        assert!(read.is_empty(), "all is taken");
        assert!(form.head.len() <= Multipart::PART_HEAD);
    }
    form.finish().map(|()| told)
}

/// The same however it is cut.
fn read_all_ways(boundary: &str, body: &[u8]) -> Result<Told, MultipartError> {
    let whole = read(boundary, body, body.len());
    for size in 1..=body.len().min(40) {
        assert_eq!(read(boundary, body, size), whole, "{size} bytes at a time: {:?}", body.escape_ascii());
    }
    whole
}

fn part(name: &str, data: &str) -> String {
    format!("--xy\r\nContent-Disposition: form-data; name={name}\r\n\r\n{data}\r\n")
}

#[test]
fn forms_are_taken_apart() {
    let a = part("a", "1");
    let table: &[(String, &[(&str, &str)])] = &[
        (a.clone() + "--xy--\r\n", &[("a", "1")]),
        (a.clone() + "--xy--", &[("a", "1")]),
        (a.clone() + &part("b", "") + "--xy--\r\n", &[("a", "1"), ("b", "")]),
        // What a boundary begins as, and is not.
        (part("a", "\r\n--x\r\n--\r\r\n\n--x--") + "--xy--", &[("a", "\r\n--x\r\n--\r\r\n\n--x--")]),
        (part("a", "--x") + "--xy--", &[("a", "--x")]),
        (part("a", "\n--xy") + "--xy--", &[("a", "\n--xy")]),
        (part("a", "\r\n\r\n") + "--xy--", &[("a", "\r\n\r\n")]),
        (part("a", "x\r") + "--xy--", &[("a", "x\r")]),
        // The content left out with its line end (RFC 2046 §5.1.1).
        ("--xy\r\nContent-Disposition: form-data; name=a\r\n\r\n--xy--".to_owned(), &[("a", "")]),
        // What stands around it.
        (format!("hello\r\n--x\r\n{a}--xy--\r\nbye\r\n--xy\r\n"), &[("a", "1")]),
        (format!("\r\n{a}--xy--\r\n"), &[("a", "1")]),
        (format!("--xy \t\r\n{}--xy-- ", &a[6..]), &[("a", "1")]),
        ("--xy--\r\n".to_owned(), &[]),
        ("\r\n--xy--".to_owned(), &[]),
    ];
    for (body, expected) in table {
        let expected: Told = expected
            .iter()
            .map(|(name, data)| ((*name).to_owned(), None, data.as_bytes().to_vec()))
            .collect();
        assert_eq!(read_all_ways("xy", body.as_bytes()), Ok(expected), "{body:?}");
    }
}

#[test]
fn what_is_no_form_is_refused() {
    let a = part("a", "1");
    let table = [
        (String::new(), MultipartError::Torn),
        ("--xy".to_owned(), MultipartError::Torn),
        ("--xy\r\n".to_owned(), MultipartError::Torn),
        ("--xy-".to_owned(), MultipartError::Torn),
        (a.clone(), MultipartError::Torn),
        (format!("{a}--xy"), MultipartError::Torn),
        (format!("{a}--xz--"), MultipartError::Torn),
        (a.replace("xy", "xz"), MultipartError::Torn),
        ("-xy--".to_owned(), MultipartError::Torn),
        ("\n--xy--".to_owned(), MultipartError::Torn),
        (format!("{a}--xyz\r\n"), MultipartError::BehindBoundary),
        (format!("{a}--xy\n"), MultipartError::BehindBoundary),
        (format!("{a}--xy\r\r"), MultipartError::BehindBoundary),
        (format!("{a}--xy -"), MultipartError::BehindBoundary),
        (format!("{a}--xy-\r\n"), MultipartError::BehindBoundary),
        (
            "--xy\r\n\r\n1\r\n--xy--".to_owned(),
            MultipartError::Head { why: "has no `Content-Disposition: form-data`" },
        ),
        (
            a.replace("\r\n\r\n", "\n\n") + "\r\n\r\n",
            MultipartError::Head { why: "has a line that is no field" },
        ),
    ];
    for (body, error) in table {
        assert_eq!(read_all_ways("xy", body.as_bytes()), Err(error), "{body:?}");
    }
}

#[test]
fn everything_is_bounded() {
    let head = |len: usize| {
        let head = "Content-Disposition: form-data; name=a\r\nX: ";
        format!("--xy\r\n{head}{}\r\n\r\n\r\n--xy--", "x".repeat(len - head.len() - 4))
    };
    assert!(read("xy", head(Multipart::PART_HEAD).as_bytes(), 100).is_ok());
    let long = read("xy", head(Multipart::PART_HEAD + 1).as_bytes(), 100).unwrap_err();
    assert_eq!((long.status(), long), (413, MultipartError::HeadTooLong { limit: 16 * 1024 }));

    for (before, behind) in [("x", ""), ("", "x")] {
        let body = |len: usize| format!("{}\r\n--xy--{}", before.repeat(len), behind.repeat(len));
        assert!(read("xy", body(Multipart::ASIDE - 2).as_bytes(), 100).is_ok());
        let much = read("xy", body(Multipart::ASIDE + 1).as_bytes(), 100).unwrap_err();
        assert_eq!(much, MultipartError::TooMuchAside { limit: 16 * 1024 });
    }
    let padded = format!("--xy{}", " ".repeat(Multipart::ASIDE + 1));
    assert!(matches!(read("xy", padded.as_bytes(), 100), Err(MultipartError::TooMuchAside { .. })));

    for (count, is_ok) in [(3, true), (4, false)] {
        let mut form = Multipart::with_boundary("xy").unwrap().most_parts(3);
        let body = part("a", "1").repeat(count) + "--xy--";
        let mut rest = body.as_bytes();
        let error = loop {
            match form.next_piece(&mut rest) {
                Ok(Some(_)) => {}
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        assert_eq!(error, (!is_ok).then_some(MultipartError::TooManyParts { limit: 3 }));
    }
}

#[test]
fn a_whole_form_is_not_copied() {
    let body = part("a", "\r\n--x") + &part("b", "") + "--xy--";
    let parts: Vec<_> =
        parts(body.as_bytes(), "multipart/form-data; boundary=xy").unwrap().map(Result::unwrap).collect();
    let told: Vec<_> = parts.iter().map(|whole| (whole.part.name(), whole.data)).collect();
    assert_eq!(told, [("a", &b"\r\n--x"[..]), ("b", b"")]);
    assert!(body.as_bytes().as_ptr_range().contains(&parts[0].data.as_ptr()));

    let torn = part("a", "1");
    let mut parts = super::parts(torn.as_bytes(), "multipart/form-data; boundary=xy").unwrap();
    assert_eq!(parts.next(), Some(Err(MultipartError::Torn)));
    assert_eq!(parts.next(), None, "an error is the last");
}

#[test]
fn a_scan_needs_no_type() {
    let body = part("a", "1\r\n--x") + "--xy\r\n\r\nnameless\r\n" + &part("c", "") + "--xy--\r\n";
    let mut found = Vec::new();
    let mut offset = 0;
    while let Some(part) = scan(body.as_bytes(), offset) {
        assert!(body[part.next..].starts_with("--xy") && part.next > offset);
        offset = part.next;
        found.push((part.name, part.data));
    }
    let expected =
        [("a", &b"1\r\n--x"[..]), ("", b"nameless"), ("c", b"")].map(|(name, data)| (name.to_owned(), data));
    assert_eq!(found, expected);
    for nothing in
        ["", "--xy", "--xy\r\n", "--xy--\r\n", "--xy\r\n\r\n", "xy\r\n\r\nxy", "\r\n\r\n", "--\r\n\r\n"]
    {
        assert_eq!(scan(nothing.as_bytes(), 0), None, "{nothing:?}");
    }
    assert_eq!(scan(b"--xy", 100), None);
}

/// A form as it is sent, with its boundary.
fn form() -> impl Strategy<Value = (String, Told)> {
    let data = prop::collection::vec(
        prop_oneof![
            2 => Just(b"\r\n--".to_vec()), 2 => Just(b"\r".to_vec()), 1 => Just(b"\n-".to_vec()),
            2 => prop::collection::vec(any::<u8>(), 0..20), 1 => Just(b"\r\n--b".to_vec()),
        ],
        0..8,
    );
    let part = ("[a-z]{0,4}", prop::option::of("[a-zü.]{0,6}"), data);
    let parts = prop::collection::vec(part.prop_map(|(name, file, data)| (name, file, data.concat())), 0..5);
    ("b[a-zA-Z0-9'()+_,./:=?-]{0,69}", parts)
}

fn written(boundary: &str, parts: &Told) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, filename, data) in parts {
        let filename = filename.as_ref().map(|name| format!("; filename=\"{name}\"")).unwrap_or_default();
        let head =
            format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"{filename}\r\n\r\n");
        body.extend_from_slice(&[head.as_bytes(), data, b"\r\n"].concat());
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    body
}

proptest! {
    #[test]
    fn what_is_sent_is_read((boundary, parts) in form()) {
        let delimiter = format!("--{boundary}").into_bytes();
        let clashes = |data: &[u8]| data.windows(delimiter.len()).any(|window| window == delimiter);
        prop_assume!(!parts.iter().any(|(.., data)| clashes(data)));
        let body = written(&boundary, &parts);
        prop_assert_eq!(read_all_ways(&boundary, &body), Ok(parts));
    }

    #[test]
    fn any_bytes_are_read_the_same_however_they_are_cut(
        words in prop::collection::vec(prop::sample::select(&[
            "--xy", "--xy--", "\r\n", "\r", "\n", "-", " ", "x", ":", "Content-Disposition: form-data; name=a", "\r\n\r\n", "\r\n--xy",
        ][..]), 0..20),
    ) {
        _ = read_all_ways("xy", words.concat().as_bytes());
    }
}
