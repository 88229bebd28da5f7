//! The kept corpus, streams of valid requests, and bytes that are nothing.

use std::{fs, path::Path};

use proptest::prelude::*;

use super::*;

#[test]
fn the_corpus_holds() {
    type Oracle = fn(&[u8]);
    let url: Oracle = |bytes| url(&String::from_utf8_lossy(bytes));
    for (name, oracle) in [
        ("requests", requests as Oracle),
        ("chunked", chunked),
        ("urls", url),
        ("multipart", multipart),
        ("responses", responses),
    ] {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
        let inputs: Vec<_> = fs::read_dir(&corpus).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(inputs.len() > 5, "{} has {} inputs", corpus.display(), inputs.len());
        for input in inputs {
            oracle(&fs::read(&input).unwrap());
        }
    }
}

/// A request as it is sent, with the target and the content that it has.
fn request() -> impl Strategy<Value = (Vec<u8>, String, Vec<u8>)> {
    let empty_lines = prop_oneof![4 => Just(""), 1 => Just("\r\n"), 1 => Just("\r\n\r\n")];
    let target = "/[a-z0-9/%+]{0,12}(\\?[a-z]=[a-z0-9&=]{0,8})?";
    let fields = prop::collection::vec("X-[A-Za-z]{1,6}:[ \t]{0,2}[!-~]{0,10}[ \t]{0,2}\r\n", 0..20);
    let content = prop::collection::vec(any::<u8>(), 0..60);
    let framing = prop_oneof![Just(Framing::None), Just(Framing::Length(0)), Just(Framing::Chunked)];
    let sizes = prop::collection::vec(1_usize..20, 0..8);
    (empty_lines, target, fields, content, framing, sizes, any::<bool>()).prop_map(
        |(empty_lines, target, fields, content, framing, sizes, trailer)| {
            let (field, body, content) = match framing {
                Framing::None => (String::new(), Vec::new(), Vec::new()),
                Framing::Length(_) => {
                    (format!("Content-Length: {}\r\n", content.len()), content.clone(), content)
                }
                Framing::Chunked => {
                    let body = in_chunks(&content, &sizes, trailer);
                    ("Transfer-Encoding: chunked\r\n".to_owned(), body, content)
                }
            };
            let fields = fields.concat();
            let head = format!("{empty_lines}POST {target} HTTP/1.1\r\nHost: a\r\n{fields}{field}\r\n");
            ([head.as_bytes(), &body].concat(), target, content)
        },
    )
}

fn in_chunks(content: &[u8], sizes: &[usize], trailer: bool) -> Vec<u8> {
    let mut body = Vec::new();
    let mut rest = content;
    for size in sizes.iter().copied().chain([content.len()]) {
        let (now, later) = rest.split_at(size.min(rest.len()));
        if !now.is_empty() {
            body.extend_from_slice(format!("{:X};x=y\r\n", now.len()).as_bytes());
            body.extend_from_slice(&[now, b"\r\n"].concat());
        }
        rest = later;
    }
    body.extend_from_slice(if trailer { b"0\r\nX: y\r\n\r\n" } else { b"0\r\n\r\n" });
    body
}

proptest! {
    /// Pipelined requests are the same however the stream is cut, and are what was sent.
    #[test]
    fn any_split_of_a_valid_stream_gives_the_same_requests(
        sent in prop::collection::vec(request(), 1..6),
        cuts in prop::collection::vec(1_usize..200, 0..60),
    ) {
        let stream = sent.iter().flat_map(|(bytes, ..)| bytes.clone()).collect::<Vec<u8>>();
        let mut reads = Vec::new();
        let mut rest = &stream[..];
        for cut in cuts {
            let (now, later) = rest.split_at(cut.min(rest.len()));
            reads.push(now);
            rest = later;
        }
        reads.push(rest);
        let followed = follow(reads);
        prop_assert_eq!((followed.refused, followed.left), (None, 0));
        prop_assert_eq!(followed.requests.len(), sent.len());
        for (request, (bytes, target, content)) in followed.requests.iter().zip(&sent) {
            prop_assert_eq!(request.target(), target);
            prop_assert_eq!(&request.body()[..], &content[..]);
            prop_assert!(bytes.ends_with(request.bytes()));
        }
    }

    /// No bytes make a parser panic, or read differently in pieces.
    #[test]
    fn any_bytes_are_taken_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        requests(&bytes);
        chunked(&bytes);
        multipart(&bytes);
        url(&String::from_utf8_lossy(&bytes));
    }

    /// The same, nearer to what is sent.
    #[test]
    fn any_words_are_taken_or_refused(
        words in prop::collection::vec(
            prop::sample::select(&[
                "GET", "POST", " ", "/", "HTTP/1.1", "HTTP/1.0", "\r\n", "\r\n\r\n", "\n", "\r", "Host: a", "Host:",
                "Content-Length: 3", "Transfer-Encoding: chunked", ":", "0", "3", "abc", ";", "\t", "http://", "unix:", "[::1]", "@", "#",
            ][..]),
            0..24,
        ),
    ) {
        let text = words.concat();
        requests(text.as_bytes());
        chunked(text.as_bytes());
        url(&text);
    }
}
