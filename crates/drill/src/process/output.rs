use rustix::event::{PollFd, PollFlags, poll};
use std::collections::VecDeque;
use std::io::{self, PipeReader, PipeWriter, Read as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// What is kept of a program's output.
const KEPT: usize = 64 * 1024;

/// Reads a program's output all the time (a full pipe would stop it) and keeps the tail.
///
/// Dropped, it stops reading even while somebody still holds the other end.
#[derive(Debug)]
pub(super) struct Tail {
    kept: Arc<Mutex<VecDeque<u8>>>,
    /// Closed to tell the thread.
    done: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
}

impl Tail {
    /// The tail, and the end of the pipe that the program gets as stdout and stderr.
    pub(super) fn new() -> io::Result<(Self, PipeWriter)> {
        let (reader, writer) = io::pipe()?;
        let (over, done) = io::pipe()?;
        let kept = Arc::new(Mutex::new(VecDeque::new()));
        let thread = std::thread::spawn({
            let kept = Arc::clone(&kept);
            move || read(reader, &over, &kept)
        });
        Ok((Self { kept, done: Some(done), thread: Some(thread) }, writer))
    }

    pub(super) fn text(&self) -> String {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes: Vec<u8> = kept.iter().copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        drop(self.done.take());
        if let Some(thread) = self.thread.take() {
            _ = thread.join();
        }
    }
}

fn read(mut reader: PipeReader, over: &PipeReader, kept: &Mutex<VecDeque<u8>>) {
    let mut buffer = [0_u8; 16 * 1024];
    loop {
        let mut ready = [PollFd::new(&reader, PollFlags::IN), PollFd::new(over, PollFlags::IN)];
        if poll(&mut ready, None).is_err_and(|error| error != rustix::io::Errno::INTR) {
            return;
        }
        let [output, over] = ready.map(|fd| !fd.revents().is_empty());
        if output {
            let Ok(count @ 1..) = reader.read(&mut buffer) else { return };
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.extend(buffer.get(..count).unwrap_or_default());
            let surplus = kept.len().saturating_sub(KEPT);
            kept.drain(..surplus);
        } else if over {
            return; // only once there is nothing more to read
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn the_tail_is_kept_and_the_pipe_never_fills() {
        let (tail, mut writer) = Tail::new().unwrap();
        for _ in 0..1_000 {
            writer.write_all(&[b'a'; 1_000]).unwrap();
        }
        writer.write_all(b"the end").unwrap();
        drop(writer);
        while !tail.thread.as_ref().unwrap().is_finished() {
            std::thread::yield_now();
        }
        assert_eq!(tail.text().len(), KEPT);
        assert!(tail.text().ends_with("aathe end"));
    }

    #[test]
    fn an_open_writer_does_not_hold_the_drop_up() {
        let (tail, writer) = Tail::new().unwrap();
        drop(tail);
        drop(writer);
    }
}
