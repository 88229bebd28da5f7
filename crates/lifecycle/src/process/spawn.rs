//! What a child is born with, and what may keep it from being born.

use super::builder::{Options, Readiness};
use super::error::ChildError;
use super::notify::Socket;
use exeunt_sys::child as sys;
use rustix::io::{Errno, ioctl_fionbio};
use std::io::{self, PipeReader};
use std::os::unix::process::CommandExt as _;
use std::process::{self, Command, Stdio};

pub(super) type Spawned = (process::Child, Option<Socket>, Option<PipeReader>);

pub(super) fn spawn(command: &mut Command, options: &Options) -> Result<Spawned, NotSpawned> {
    for ours in crate::service::VARIABLES {
        if command.get_envs().all(|(name, _)| name != *ours) {
            command.env_remove(ours);
        }
    }
    let notify = match options.readiness {
        Readiness::Exec => None,
        Readiness::Notify => Some(Socket::open().map_err(NotSpawned::Watch)?),
    };
    if let Some(notify) = &notify {
        command.env("NOTIFY_SOCKET", notify.address());
    }
    let mut stderr = None;
    if options.capture {
        let (reader, writer) = io::pipe().map_err(NotSpawned::Watch)?;
        ioctl_fionbio(&reader, true).map_err(|error| NotSpawned::Watch(error.into()))?;
        command.stderr(Stdio::from(writer));
        stderr = Some(reader);
    }
    if options.own_group {
        command.process_group(0);
    }
    let death_signal = (!options.outlives).then_some(super::KILL);
    sys::prepare(command, sys::Birth { death_signal });
    let process = command.spawn().map_err(NotSpawned::of_the_system)?;
    Ok((process, notify, stderr))
}

/// What a start may fail by, before there is a child.
pub(super) enum NotSpawned {
    Execute(io::Error),
    Watch(io::Error),
}

impl NotSpawned {
    /// Whether it is the program that is wrong, or there is no room for another process (fork(2), pipe(2)).
    fn of_the_system(error: io::Error) -> Self {
        match Errno::from_io_error(&error) {
            Some(Errno::AGAIN | Errno::MFILE | Errno::NFILE | Errno::NOMEM) => Self::Watch(error),
            _ => Self::Execute(error),
        }
    }

    pub(super) fn of(self, name: String, command: &Command) -> ChildError {
        match self {
            Self::Execute(source) => {
                ChildError::Execute { name, program: command.get_program().into(), source }
            }
            Self::Watch(source) => ChildError::Watch { name, source },
        }
    }
}
