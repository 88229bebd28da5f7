mod checks;

use crate::error::Error;
use crate::port::free_port;
use crate::run::{self, Progress, Stop};
use crate::scenario::Scenario;
use crate::signal::StopSignal;
use crate::verdict::Verdict;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// A rehearsal: which server, under which load, stopped how.
///
/// Everything has a default but the command. `{port}` in the program and its arguments is replaced.
#[derive(Clone, Debug)]
pub struct Drill {
    pub(crate) command: Vec<OsString>,
    pub(crate) control: Option<Vec<OsString>>,
    pub(crate) host: IpAddr,
    pub(crate) port: Option<u16>,
    pub(crate) path: String,
    /// Paths that a scenario has for itself; of `half-sent` the one that takes its bodies.
    pub(crate) paths: BTreeMap<Scenario, String>,
    pub(crate) sse_goodbye: String,
    pub(crate) connections: u32,
    pub(crate) idle_connections: u32,
    pub(crate) rounds: Option<u32>,
    pub(crate) scenarios: Vec<Scenario>,
    pub(crate) signal: StopSignal,
    pub(crate) to_group: bool,
    pub(crate) deadline: Duration,
    pub(crate) start_deadline: Duration,
    pub(crate) flight: Duration,
    pub(crate) pipeline: u32,
}

impl Drill {
    /// A drill of this program, found in PATH if it is a bare name.
    #[must_use]
    pub fn new(program: impl Into<OsString>) -> Self {
        Self {
            command: vec![program.into()],
            control: None,
            host: Ipv4Addr::LOCALHOST.into(),
            port: None,
            path: "/".to_owned(),
            paths: BTreeMap::new(),
            sse_goodbye: "goodbye".to_owned(),
            connections: 64,
            idle_connections: 1_000,
            rounds: None,
            scenarios: Vec::new(),
            signal: StopSignal::TERM,
            to_group: false,
            deadline: Duration::from_secs(10),
            start_deadline: Duration::from_secs(10),
            flight: Duration::ZERO,
            pipeline: 1,
        }
    }

    /// One more argument of the program.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.command.push(arg.into());
        self
    }

    /// More arguments of the program.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.command.extend(args.into_iter().map(Into::into));
        self
    }

    /// The command that runs [`control::serve`](crate::control::serve) on `{port}`: a server that
    /// loses. Without it no control rounds are held, and a pass rests on faith in the load.
    #[must_use]
    pub fn control<A: Into<OsString>>(mut self, command: impl IntoIterator<Item = A>) -> Self {
        self.control = Some(command.into_iter().map(Into::into).collect());
        self
    }

    /// The address where the server listens, 127.0.0.1 by default. The command still runs on this machine: another
    /// address is another network namespace of it (`ip netns exec NAME my-server`).
    #[must_use]
    pub fn host(mut self, host: IpAddr) -> Self {
        self.host = host;
        self
    }

    /// The TCP port where the server listens; a free one by default.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Path of the requests, `/` by default. It has to answer with a status from 200 to 399.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// A path whose answer takes about 500 ms. Without it the scenario `slow` is left out.
    #[must_use]
    pub fn slow_path(self, path: impl Into<String>) -> Self {
        self.path_of(Scenario::Slow, path)
    }

    /// A path for `flight` whose answer takes some milliseconds; the [`path`](Self::path) of the requests by default.
    #[must_use]
    pub fn flight_path(self, path: impl Into<String>) -> Self {
        self.path_of(Scenario::Flight, path)
    }

    /// A path that takes a body by POST and answers when it has the whole. Without it `half-sent` sends heads alone.
    #[must_use]
    pub fn upload_path(self, path: impl Into<String>) -> Self {
        self.path_of(Scenario::HalfSent, path)
    }

    /// A path whose answer has some megabytes. Without it the scenario `slow-reader` is left out.
    #[must_use]
    pub fn large_path(self, path: impl Into<String>) -> Self {
        self.path_of(Scenario::SlowReader, path)
    }

    /// A path of WebSockets where each message is answered by one message. Without it the scenario `websocket` is
    /// left out.
    #[must_use]
    pub fn ws_path(self, path: impl Into<String>) -> Self {
        self.path_of(Scenario::Websocket, path)
    }

    /// A path of server-sent events. Without it the scenario `sse` is left out.
    #[must_use]
    pub fn sse_path(self, path: impl Into<String>) -> Self {
        self.path_of(Scenario::Sse, path)
    }

    /// The name of the event by which a stream of server-sent events says goodbye, `goodbye` by default.
    #[must_use]
    pub fn sse_goodbye(mut self, event: impl Into<String>) -> Self {
        self.sse_goodbye = event.into();
        self
    }

    fn path_of(mut self, scenario: Scenario, path: impl Into<String>) -> Self {
        self.paths.insert(scenario, path.into());
        self
    }

    /// Connections at a time, 64 by default (except in `idle`); streams in `http2`, 8 on a connection, and four times
    /// the readers in `slow-reader`.
    #[must_use]
    pub fn connections(mut self, connections: u32) -> Self {
        self.connections = connections;
        self
    }

    /// Silent connections in `idle`, 1,000 by default.
    #[must_use]
    pub fn idle_connections(mut self, connections: u32) -> Self {
        self.idle_connections = connections;
        self
    }

    /// Rounds of each scenario. By default 15 of `keepalive`, `fresh`, `flight` and `http2`, 3 of the others.
    #[must_use]
    pub fn rounds(mut self, rounds: u32) -> Self {
        self.rounds = Some(rounds);
        self
    }

    /// One more scenario. If none is named: all that can be held, which is every one whose path is named, and `http2`
    /// if the server answers its preface.
    #[must_use]
    pub fn scenario(mut self, scenario: Scenario) -> Self {
        self.scenarios.push(scenario);
        self
    }

    /// What asks the server to stop, SIGTERM by default.
    #[must_use]
    pub fn signal(mut self, signal: StopSignal) -> Self {
        self.signal = signal;
        self
    }

    /// Sends the signal to the command's whole process group, as a terminal does, not to its leader alone.
    #[must_use]
    pub fn to_group(mut self, to_group: bool) -> Self {
        self.to_group = to_group;
        self
    }

    /// From the signal to SIGKILL, 10 s by default. A server that still runs then has ignored the signal.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// From the start until the path answers, 10 s by default.
    #[must_use]
    pub fn start_deadline(mut self, deadline: Duration) -> Self {
        self.start_deadline = deadline;
        self
    }

    /// A wait between the client's look at its kept connection and its request, as a network would
    /// make; none by default, 5 ms in `flight`. Has to be below 250 ms, or every lost request would count as crossed.
    #[must_use]
    pub fn flight(mut self, flight: Duration) -> Self {
        self.flight = flight;
        self
    }

    /// Requests sent at once on each connection of `keepalive`, 1 by default.
    #[must_use]
    pub fn pipeline(mut self, requests: u32) -> Self {
        self.pipeline = requests;
        self
    }

    /// Holds the drill and judges it. Blocks; a drill of one process waits for another of the same.
    ///
    /// While it runs, this process is a child subreaper (`PR_SET_CHILD_SUBREAPER`), its limit of open
    /// descriptors is raised, and any child it gets is taken for one of the command's and ended. So
    /// start no processes of your own meanwhile. When it returns, by whichever way (a panic included),
    /// no process of the command is left.
    ///
    /// # Errors
    ///
    /// See [`Error`]: settings that make no sense, a port that is taken, a command that cannot be
    /// started, an interruption. Whatever the server does wrong is in the verdict.
    pub fn run(&self, progress: &mut dyn Progress, stop: &Stop) -> Result<Verdict, Error> {
        let scenarios = self.checked()?;
        run::run(self, &scenarios, progress, stop)
    }

    /// Where the server is expected.
    pub(crate) fn address(&self) -> Result<SocketAddr, Error> {
        let port = match self.port {
            Some(port) => port,
            None => free_port().map_err(|source| Error::Io { doing: "looking for a free port", source })?,
        };
        Ok((self.host, port).into())
    }
}

pub(crate) fn contains_port(arg: &OsStr) -> bool {
    arg.to_str().is_some_and(|arg| arg.contains("{port}"))
}

/// Puts the port in. An argument that is not UTF-8 stays as it is.
pub(crate) fn with_port(arg: &OsString, port: u16) -> OsString {
    arg.to_str().map_or_else(|| arg.clone(), |arg| arg.replace("{port}", &port.to_string()).into())
}
