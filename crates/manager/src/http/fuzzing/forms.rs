//! Forms that carry files.

use crate::http::multipart::{Multipart, MultipartError, Part, Piece, parts, scan};

/// A `Content-Type` up to the first line's end, and a body behind it: however that is cut, it comes to the same; nothing is
/// kept of it but the head of a part; and what is taken reads the same when it is written again.
pub fn multipart(bytes: &[u8]) {
    let at = memchr::memchr(b'\n', bytes).unwrap_or(0);
    let (boundary, body) = bytes.split_at(at);
    let body = body.get(1..).unwrap_or_default();
    let boundary = String::from_utf8_lossy(boundary);
    let content_type = format!("multipart/form-data; boundary={boundary}");
    trace_parts(body);
    let Ok(form) = Multipart::new(&content_type) else { return };
    let whole = follow(&form, [body]);
    for size in [1, 7] {
        assert_eq!(whole, follow(&form, body.chunks(size)), "{size} bytes at a time");
    }
    let again = parts(body, &content_type).expect("taken before");
    let again: Result<Vec<_>, _> =
        again.map(|part| part.map(|whole| (whole.part, whole.data.to_vec()))).collect();
    assert_eq!(whole, again);
    let Ok(told) = whole else { return };

    let marker = form.marker();
    let mut text = Vec::new();
    for (part, data) in &told {
        assert!(!data.starts_with(marker.get(2..).unwrap_or_default()));
        assert!(memchr::memmem::find(data, marker).is_none());
        text.extend_from_slice(marker);
        for (name, value) in part.headers() {
            text.extend_from_slice(&[b"\r\n", name.as_bytes(), b": ", value].concat());
        }
        text.extend_from_slice(&[b"\r\n\r\n", &data[..]].concat());
    }
    text.extend_from_slice(&[marker, b"--"].concat());
    let rewritten = follow(&form, [&text[..]]).expect("it was taken before");
    let plain = |told: &[(Part, Vec<u8>)]| {
        told.iter()
            .map(|(part, data)| (part.name().to_owned(), part.filename().map(str::to_owned), data.clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(plain(&rewritten), plain(&told));
}

type Told = Result<Vec<(Part, Vec<u8>)>, MultipartError>;

fn follow<'a>(form: &Multipart, reads: impl IntoIterator<Item = &'a [u8]>) -> Told {
    let mut form = form.clone();
    let mut told: Vec<(Part, Vec<u8>)> = Vec::new();
    let mut open = false;
    for mut read in reads {
        while let Some(piece) = form.next_piece(&mut read)? {
            match piece {
                Piece::Part(part) => {
                    assert!(!std::mem::replace(&mut open, true));
                    told.push((part, Vec::new()));
                }
                Piece::Data(data) => {
                    assert!(open && !data.is_empty());
                    told.last_mut().expect("a part has begun").1.extend_from_slice(data);
                }
                Piece::End => assert!(std::mem::replace(&mut open, false)),
            }
        }
        assert!(read.is_empty(), "all of it is taken");
    }
    form.finish()?;
    assert!(!open);
    Ok(told)
}

/// A scan comes to an end, and stays within the body.
fn trace_parts(body: &[u8]) {
    let mut offset = 0;
    while let Some(part) = scan(body, offset) {
        assert!(part.next > offset && part.next <= body.len());
        offset = part.next;
    }
}
