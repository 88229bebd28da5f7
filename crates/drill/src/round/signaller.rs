use crate::load::Signalled;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Instant;

/// Sends the signal at a given moment, unless dropped before. When the drop returns, no signal is sent any more.
#[derive(Debug)]
pub(super) struct Signaller {
    cancel: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Signaller {
    pub(super) fn new(signalled: Signalled, at: Instant, send: impl FnOnce() + Send + 'static) -> Self {
        let (cancel, cancelled) = channel::<()>();
        let thread = std::thread::spawn(move || {
            let wait = at.saturating_duration_since(Instant::now());
            if cancelled.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                signalled.set(send);
            }
        });
        Self { cancel: Some(cancel), thread: Some(thread) }
    }
}

impl Drop for Signaller {
    fn drop(&mut self) {
        drop(self.cancel.take());
        if let Some(thread) = self.thread.take() {
            _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_dropped_signaller_sends_nothing() {
        let signalled = Signalled::default();
        let (sent, was_sent) = channel();
        let later = Instant::now() + Duration::from_secs(600);
        drop(Signaller::new(signalled.clone(), later, move || sent.send(()).unwrap()));
        assert!(was_sent.recv().is_err());
        assert_eq!(signalled.at(), None);
    }

    #[test]
    fn the_instant_is_noted_before_the_signal_is_sent() {
        let signalled = Signalled::default();
        let (sent, was_sent) = channel();
        let noted = signalled.clone();
        let _signaller = Signaller::new(signalled, Instant::now(), move || sent.send(noted.at()).unwrap());
        assert!(was_sent.recv().unwrap().is_some());
    }
}
