//! `exeunt serve`: a folder over HTTP, stopped without losing a request.

use crate::exit::ExitStatus;
use crate::printer::{self, UsageError};
use crate::site;
use exeunt_server::lifecycle::service::Preset;
use exeunt_server::lifecycle::{Config, Lifecycle, Report};
use exeunt_server::{BoxError, Health, HttpService, Server};
use http_body::Body;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::runtime::Runtime;
use tower_http::services::ServeDir;

/// Serves a folder until it is told to stop, then stops without losing a request
///
/// The folder's files are served at their paths, index.html for folders; /livez and /readyz answer for the server
/// itself. SIGINT, SIGTERM, SIGQUIT and SIGHUP ask it to stop. A second signal changes nothing; the third ends the
/// server at once.
#[derive(Debug, clap::Args)]
pub(crate) struct ServeArguments {
    /// The folder to serve
    #[arg(required_unless_present = "built_in_site")]
    dir: Option<PathBuf>,

    /// Where to listen: ADDRESS:PORT, [IPV6]:PORT, NAME:PORT, :PORT for every address, unix:PATH, or systemd:NAME for a
    /// socket that a service manager has opened
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8000")]
    listen: String,

    /// From the first stop signal to the end at the latest; or who kills the server after a time of his own: systemd
    /// (the unit is asked), docker (8 s), kubernetes (25 s)
    #[arg(long, value_name = "DURATION|MANAGER", default_value = "25s", value_parser = Grace::parse)]
    grace: Grace,

    /// How long to go on accepting after the stop signal, so that a load balancer notices /readyz first
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = humantime::parse_duration)]
    lame_duck: Duration,

    /// How long a kept connection must have been silent before it is closed in the stop
    #[arg(long, value_name = "DURATION", default_value = "250ms", value_parser = humantime::parse_duration)]
    idle_grace: Duration,

    /// Serves the site that is built in: /, and /slow?ms=N, which answers after N milliseconds
    #[arg(long, conflicts_with = "dir")]
    built_in_site: bool,
}

#[derive(Clone, Copy, Debug)]
enum Grace {
    For(Duration),
    By(Preset),
}

impl Grace {
    fn parse(text: &str) -> Result<Self, humantime::DurationError> {
        Ok(match text {
            "systemd" => Self::By(Preset::Systemd),
            "docker" => Self::By(Preset::Docker),
            "kubernetes" => Self::By(Preset::Kubernetes),
            text => Self::For(humantime::parse_duration(text)?),
        })
    }

    fn of(self, config: Config) -> Config {
        match self {
            Self::For(time) => config.grace(time),
            Self::By(manager) => config.preset(manager),
        }
    }
}

pub(crate) fn run(arguments: &ServeArguments) -> Result<ExitStatus, UsageError> {
    // The folder before the port: a mistake in the arguments should not occupy anything.
    if let Some(dir) = &arguments.dir {
        check_folder(dir)?;
    }
    let config = arguments.grace.of(Config::default()).lame_duck(arguments.lame_duck);
    let runtime =
        Runtime::new().map_err(|error| UsageError::new(format!("cannot start threads: {error}"), None))?;
    let server = {
        let _context = runtime.enter();
        Server::bind(&arguments.listen)
            .map_err(|error| UsageError::new(&error, error.hint()))?
            .idle_grace(arguments.idle_grace)
    };
    raise_descriptor_limit();
    let lifecycle = Lifecycle::install(config).map_err(|error| UsageError::new(error, None))?;
    let what = match &arguments.dir {
        Some(dir) => dir.display().to_string(),
        None => "the built-in site".to_owned(),
    };
    let address = server.local_address();
    let scheme = if address.as_path().is_some() { "" } else { "http://" };
    let told = format!("serving {what} on {scheme}{address}");
    let report = match &arguments.dir {
        Some(dir) => serve(&runtime, server.service(ServeDir::new(dir)), lifecycle, &told),
        None => serve(&runtime, server.service(tower::service_fn(site::answer)), lifecycle, &told),
    };
    // A request that was cut may still run; it must not keep the process.
    runtime.shutdown_background();
    printer::note(&report);
    Ok(ExitStatus::Lifecycle(report.exit_status()))
}

fn serve<S, B>(runtime: &Runtime, server: Server<S>, lifecycle: Lifecycle, told: &str) -> Report
where
    S: HttpService<B> + Sync,
    B: Body<Data = bytes::Bytes, Error: Into<BoxError>> + Send + 'static,
{
    runtime.block_on(async {
        let stop = lifecycle.stop();
        let server = server.map(|service| Health::new(service, stop));
        tokio::spawn(server.run(&lifecycle));
        // From here on the lifecycle waits for the server: whoever is told may connect and send the signal at once.
        printer::note(told);
        lifecycle.ready();
        lifecycle.finished().await
    })
}

/// Each connection takes a descriptor; the soft limit of 1024 is for programs that use `select(2)`.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // Where it is refused, the listener waits for descriptors, as it does at the hard limit.
    _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

fn check_folder(dir: &Path) -> Result<(), UsageError> {
    let problem = match std::fs::metadata(dir) {
        Ok(found) if found.is_dir() => return Ok(()),
        Ok(_) => "it is not a folder".to_owned(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => "it does not exist".to_owned(),
        Err(error) => error.to_string(),
    };
    let hint = "name a folder that exists, such as `.`".to_owned();
    Err(UsageError::new(format!("cannot serve {}: {problem}", dir.display()), hint))
}
