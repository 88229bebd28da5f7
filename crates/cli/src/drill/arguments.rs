use crate::printer::UsageError;
use exeunt_drill::{Drill, Scenario, StopSignal};
use std::env::current_exe;
use std::ffi::OsString;
use std::net::IpAddr;
use std::time::Duration;

/// The built-in site's slow path.
const BUILT_IN_SLOW_PATH: &str = "/slow?ms=500";

/// Stops a server under load again and again and accounts for every request
///
/// Starts COMMAND, waits until its port answers, loads it, signals it, and tells what became of every single
/// request. Without COMMAND the server judged is exeunt's own. Exit status: 0 nothing was lost, 1 something was,
/// 2 wrong arguments, 4 it could not tell.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: exeunt drill --port 8000 -- python3 -m http.server 8000")]
pub(crate) struct DrillArguments {
    /// The server to drill and its arguments; {port} is replaced
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,

    /// IP address where it listens; another than 127.0.0.1 is for a COMMAND in a network namespace of its own
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    host: IpAddr,

    /// Port where it listens [default: a free one, put in for {port}]
    #[arg(long)]
    port: Option<u16>,

    /// Path of the requests; has to answer 200 to 399
    #[arg(long, default_value = "/")]
    path: String,

    /// A path whose answer takes about 500 ms, for the scenario slow
    #[arg(long, value_name = "PATH")]
    slow_path: Option<String>,

    /// A path whose answer takes some milliseconds, for the scenario flight [default: that of --path]
    #[arg(long, value_name = "PATH")]
    flight_path: Option<String>,

    /// A path that takes bodies by POST, so that half-sent has bodies, too, not heads alone
    #[arg(long, value_name = "PATH")]
    upload_path: Option<String>,

    /// A path whose answer has some megabytes, for the scenario slow-reader
    #[arg(long, value_name = "PATH")]
    large_path: Option<String>,

    /// A path of WebSockets that answers each message with one, for the scenario websocket
    #[arg(long, value_name = "PATH")]
    ws_path: Option<String>,

    /// A path of server-sent events, for the scenario sse
    #[arg(long, value_name = "PATH")]
    sse_path: Option<String>,

    /// The event by which a stream of server-sent events says goodbye
    #[arg(long, value_name = "EVENT", default_value = "goodbye")]
    sse_goodbye: String,

    /// Connections at a time; streams in http2, and four times the readers in slow-reader
    #[arg(long, value_name = "N", default_value_t = 64)]
    connections: u32,

    /// Silent connections in the scenario idle
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    idle_connections: u32,

    /// Stops in each scenario [default: 15 in keepalive, fresh, flight and http2, 3 in the others]
    #[arg(long, value_name = "N")]
    rounds: Option<u32>,

    /// keepalive, fresh, flight, http2, slow, half-sent, slow-reader, websocket, sse or idle; may be repeated [default: all
    /// that can be held]
    #[arg(long, value_name = "NAME")]
    scenario: Vec<Scenario>,

    /// The signal that asks to stop, by name or number
    #[arg(long, default_value_t = StopSignal::TERM)]
    signal: StopSignal,

    /// Sends it to the command's whole process group, as a terminal would
    #[arg(long)]
    to_group: bool,

    /// From the signal until the server is killed and judged deaf
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = humantime::parse_duration)]
    deadline: Duration,

    /// From the start until the path has to answer
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = humantime::parse_duration)]
    start_deadline: Duration,

    /// A wait between the client's look at its kept connection and its request, as a network would make [default: 5 in
    /// flight, 0 in the others]
    #[arg(long, value_name = "MS", default_value_t = 0, hide_default_value = true)]
    flight_ms: u64,

    /// Requests sent at once on each connection of keepalive
    #[arg(long, value_name = "N", default_value_t = 1)]
    pipeline: u32,

    /// Skips the rounds against a server that loses, which prove that the drill can see a loss
    #[arg(long)]
    no_control: bool,

    /// Prints the verdict as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// Serves as the control server of a drill
#[derive(Debug, clap::Args)]
pub(crate) struct ControlArguments {
    pub(super) port: u16,
}

impl DrillArguments {
    /// The drill that these arguments ask for; what makes no sense in it is found when it is run.
    pub(super) fn drill(&self) -> Result<Drill, UsageError> {
        let own = || {
            current_exe().map_err(|error| {
                UsageError::new(format!("cannot find this program's own file: {error}"), None)
            })
        };
        let mut command = self.command.iter();
        let mut drill = match command.next() {
            Some(program) => Drill::new(program).args(command),
            None => Drill::new(own()?)
                .args(["serve", "--built-in-site", "--listen", "127.0.0.1:{port}"])
                .slow_path(BUILT_IN_SLOW_PATH),
        };
        drill = drill
            .host(self.host)
            .path(&self.path)
            .sse_goodbye(&self.sse_goodbye)
            .connections(self.connections)
            .idle_connections(self.idle_connections)
            .signal(self.signal)
            .to_group(self.to_group)
            .deadline(self.deadline)
            .start_deadline(self.start_deadline)
            .flight(Duration::from_millis(self.flight_ms))
            .pipeline(self.pipeline);
        if let Some(port) = self.port {
            drill = drill.port(port);
        }
        type Name = fn(Drill, String) -> Drill;
        let paths: [(&Option<String>, Name); 6] = [
            (&self.slow_path, Drill::slow_path),
            (&self.flight_path, Drill::flight_path),
            (&self.upload_path, Drill::upload_path),
            (&self.large_path, Drill::large_path),
            (&self.ws_path, Drill::ws_path),
            (&self.sse_path, Drill::sse_path),
        ];
        for (path, name) in paths {
            if let Some(path) = path {
                drill = name(drill, path.clone());
            }
        }
        if let Some(rounds) = self.rounds {
            drill = drill.rounds(rounds);
        }
        if !self.no_control {
            drill = drill.control([own()?.into_os_string(), "drill-control".into(), "{port}".into()]);
        }
        Ok(self.scenario.iter().copied().fold(drill, Drill::scenario))
    }
}
