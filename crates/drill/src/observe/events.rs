//! Server-sent events (HTML Living Standard §9.2.6), as far as to tell a goodbye: no I/O.

/// Finds one event by its name in what a stream carries.
#[derive(Debug)]
pub(crate) struct EventReader {
    goodbye: String,
    line: Vec<u8>,
    /// The event under way has that name.
    named: bool,
    /// The event of that name has come in whole.
    said: bool,
}

impl EventReader {
    pub(crate) fn new(goodbye: &str) -> Self {
        Self { goodbye: goodbye.to_owned(), line: Vec::new(), named: false, said: false }
    }

    /// Takes what came; answers whether the goodbye has been said.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> bool {
        for byte in bytes {
            if *byte == b'\n' {
                self.end_of_line();
            } else if self.line.len() < 256 {
                // Longer lines are data.
                self.line.push(*byte);
            }
        }
        self.said
    }

    fn end_of_line(&mut self) {
        let line = self.line.strip_suffix(b"\r").unwrap_or(&self.line);
        if line.is_empty() {
            self.said |= self.named;
            self.named = false;
        } else if let Some(name) = line.strip_prefix(b"event:") {
            self.named = name.strip_prefix(b" ").unwrap_or(name) == self.goodbye.as_bytes();
        }
        self.line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goodbye_is_an_event_in_whole() {
        for (stream, said) in [
            ("event: goodbye\ndata: now\n\n", true),
            ("event:goodbye\r\n\r\n", true),
            ("data: 1\n\nid: 9\nevent: goodbye\n\n", true),
            ("event: goodbye\n\ndata: more\n\n", true),
            ("event: goodbye\ndata: now\n", false),
            ("event: goodbye", false),
            ("data: goodbye\n\n", false),
            ("event: goodbyes\n\n", false),
            ("event: goodbye\nevent: tick\n\n", false),
            (": event: goodbye\n\n", false),
        ] {
            let mut reader = EventReader::new("goodbye");
            let last = stream.bytes().map(|byte| reader.push(&[byte])).last();
            assert_eq!(last, Some(said), "{stream:?}");
        }
    }
}
