//! How a child comes to be on Windows, and the threads that wait for it.

use super::builder::{Options, Readiness};
use super::child::Shared;
use super::engine::{Engine, Order};
use super::error::ChildError;
use crate::runner::detached;
use exeunt_sys::child as sys;
use std::io::{self, PipeReader, Read as _};
use std::process::{self, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

pub(super) type Streams = (Option<ChildStdin>, Option<ChildStdout>, Option<ChildStderr>);

/// How long what a child said last is read before its end is told, while somebody else still has its stderr.
const LAST_WORDS: Duration = Duration::from_millis(250);

pub(super) fn spawn(
    engine: &'static Engine,
    id: u64,
    name: &str,
    command: &mut Command,
    options: &Options,
) -> Result<(Arc<Shared>, Streams), ChildError> {
    let watch = |source| ChildError::Watch { name: name.to_owned(), source };
    if options.readiness == Readiness::Notify {
        return Err(ChildError::NoNotify { name: name.to_owned() });
    }
    for ours in crate::service::VARIABLES {
        if command.get_envs().all(|(name, _)| name != *ours) {
            command.env_remove(ours);
        }
    }
    let mut stderr = None;
    if options.capture {
        let (reader, writer) = io::pipe().map_err(watch)?;
        command.stderr(Stdio::from(writer));
        stderr = Some(reader);
    }
    let birth = sys::Birth { own_group: options.own_group, outlives: options.outlives };
    let (mut process, job) = sys::spawn(command, birth).map_err(|error| match error {
        sys::SpawnError::Execute(source) => {
            let program = command.get_program().into();
            ChildError::Execute { name: name.to_owned(), program, source }
        }
        sys::SpawnError::Job(source) => watch(source),
    })?;
    let streams = (process.stdin.take(), process.stdout.take(), process.stderr.take());
    let shared = Arc::new(Shared::new(engine, id, name.to_owned(), process.id(), options.own_group));
    if let Some(mut state) = shared.state() {
        state.job = Some(job);
    }
    let said = stderr.map(|stderr| read_in_a_thread(stderr, &shared)).transpose();
    let waits = said.and_then(|said| wait_in_a_thread(engine, id, process, said));
    waits.map_err(|source| {
        shared.kill();
        watch(source)
    })?;
    Ok((shared, streams))
}

/// Reads what it says on stderr until nobody has that any more, which the receiver shows by its hang-up.
fn read_in_a_thread(mut stderr: PipeReader, shared: &Arc<Shared>) -> io::Result<Receiver<()>> {
    let (reading, over) = mpsc::channel();
    let shared = Arc::clone(shared);
    let read = move || {
        let mut buffer = [0; 16 * 1024];
        while let Ok(count @ 1..) = stderr.read(&mut buffer) {
            if let Some(mut state) = shared.state() {
                state.tail.push(buffer.get(..count).unwrap_or_default());
            }
        }
        drop::<mpsc::Sender<()>>(reading);
    };
    detached("exeunt-stderr", Box::new(read)).map_err(|(_, error)| error)?;
    Ok(over)
}

/// Says when it has ended, and all that it had said on stderr is there.
fn wait_in_a_thread(
    engine: &'static Engine,
    id: u64,
    mut process: process::Child,
    said: Option<Receiver<()>>,
) -> io::Result<()> {
    let wait = move || {
        let status = process.wait();
        if let Some(said) = said {
            _ = said.recv_timeout(LAST_WORDS);
        }
        engine.order(Order::Ended { id, process, status });
    };
    detached("exeunt-waiting", Box::new(wait)).map_err(|(_, error)| error)
}
