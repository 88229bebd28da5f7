//! A stop while a large file is on its way (rules D7 and M19).

use crate::support::asking;
use rustix::process::Signal;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};

/// The file's length: of no kernel's buffers.
const LENGTH: u64 = 256 << 20;

/// Beyond what 32 bits can count.
const SOAK_LENGTH: u64 = 5_000_000_000;

const LAST: &[u8] = b"the last bytes of the file";

#[test]
fn a_file_begun_before_the_stop_arrives_whole() {
    let length = if super::is_soak() { SOAK_LENGTH } else { LENGTH };
    let dir = tempfile::tempdir().unwrap();
    let mut file = File::create(dir.path().join("large.bin")).unwrap();
    // Sparse: nothing of it is on a disk, but its end.
    file.seek(SeekFrom::Start(length - LAST.len() as u64)).unwrap();
    file.write_all(LAST).unwrap();
    let (probe, address) = crate::loaded(&["files", dir.path().to_str().unwrap()]);
    let mut client = asking(address, "GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut head = Vec::new();
    let mut buffer = vec![0; 1 << 20];
    while !head.ends_with(b"\r\n\r\n") {
        assert_eq!(client.read(&mut buffer[..1]).unwrap(), 1);
        head.push(buffer[0]);
    }
    let head = String::from_utf8(head).unwrap();
    assert!(
        head.starts_with("HTTP/1.1 200 ") && head.contains(&format!("Content-Length: {length}\r\n")),
        "{head}"
    );
    probe.send(Signal::TERM);
    let (mut got, mut end) = (0, Vec::new());
    loop {
        let read = client.read(&mut buffer).expect("an end, and no reset");
        if read == 0 {
            break;
        }
        got += read as u64;
        end.extend_from_slice(&buffer[read.saturating_sub(LAST.len())..read]);
        end.drain(..end.len().saturating_sub(LAST.len()));
    }
    assert_eq!((got, end.as_slice()), (length, LAST));
    let (status, said) = probe.end();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(!said.contains("cut"), "{said}");
}
