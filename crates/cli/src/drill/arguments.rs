use crate::printer::UsageError;
use exeunt_drill::{Drill, Scenario, StopSignal};
use std::env::current_exe;
use std::ffi::OsString;
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

    /// Port on 127.0.0.1 where it listens [default: a free one, put in for {port}]
    #[arg(long)]
    port: Option<u16>,

    /// Path of the requests; has to answer 200 to 399
    #[arg(long, default_value = "/")]
    path: String,

    /// A path whose answer takes about 500 ms, for the scenario slow
    #[arg(long, value_name = "PATH")]
    slow_path: Option<String>,

    /// Connections at a time
    #[arg(long, value_name = "N", default_value_t = 64)]
    connections: u32,

    /// Silent connections in the scenario idle
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    idle_connections: u32,

    /// Stops in each scenario [default: 15 in keepalive and fresh, 3 in slow and idle]
    #[arg(long, value_name = "N")]
    rounds: Option<u32>,

    /// keepalive, fresh, slow or idle; may be repeated [default: all that can be held]
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

    /// A wait between the client's look at its kept connection and its request, as a network would make
    #[arg(long, value_name = "MS", default_value_t = 0)]
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
            .path(&self.path)
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
        if let Some(path) = &self.slow_path {
            drill = drill.slow_path(path);
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
