//! Every exit status of the command, in one place (rule L14).

use std::process::ExitCode;

/// How the command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitStatus {
    /// Nothing was lost, nothing failed.
    Clean,
    /// `drill`: something was lost.
    Lost,
    /// The arguments, or what they name, cannot be used.
    Usage,
    /// `drill`: it could not tell.
    Inconclusive,
    /// `serve`: what the report says: 0 clean, 1 failed, 3 something was cut, 128 + signal forced.
    Lifecycle(u8),
}

impl ExitStatus {
    /// The number that the parent process sees.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Lost => 1,
            Self::Usage => 2,
            Self::Inconclusive => 4,
            Self::Lifecycle(code) => code,
        }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status.code())
    }
}
