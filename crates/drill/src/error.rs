use std::io;

/// Why a drill could not be held at all. What the server did wrong is in the verdict, never here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting makes no sense.
    #[error("{message}")]
    Config {
        /// What is wrong, with the value.
        message: String,
        /// What to do about it.
        hint: String,
    },
    /// Somebody else answers on the port before the server is started.
    #[error("port {port} is already taken: somebody answers there before the server is started")]
    PortTaken {
        /// The port.
        port: u16,
    },
    /// The operating system did not start the program.
    #[error("cannot start {program:?}: {source}")]
    CannotStart {
        /// The program, as it was given.
        program: String,
        /// Why not.
        source: io::Error,
    },
    /// The drill's own machinery failed.
    #[error("{doing}: {source}")]
    Io {
        /// What it was about.
        doing: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// [`Stop::request`](crate::Stop::request) was called. The server and all its processes are gone.
    #[error("interrupted; the server under judgement was ended")]
    Interrupted,
}

impl Error {
    pub(crate) fn config(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Config { message: message.into(), hint: hint.into() }
    }

    /// What whoever called can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Config { hint, .. } => Some(hint.clone()),
            Self::PortTaken { port } => {
                Some(format!("stop what listens there (`ss -ltnp sport = :{port}`) or choose another port"))
            }
            Self::CannotStart { program, source } => Some(match source.kind() {
                io::ErrorKind::NotFound => format!("is {program} installed, and in PATH?"),
                io::ErrorKind::PermissionDenied => format!("make {program} executable (chmod +x)"),
                _ => "start it by hand to see what is wrong".to_owned(),
            }),
            Self::Io { .. } | Self::Interrupted => None,
        }
    }
}
