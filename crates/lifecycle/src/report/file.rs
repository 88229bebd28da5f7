//! The report in a file, and what the next start makes of it (L15). The schema is in `docs/report.md`.

use super::Report;
use super::last_stop::LastStop;
use crate::bounded::within;
use crate::config::Config;
use crate::follow::{Follow, Item};
use crate::foreign::foreign;
use serde::Serialize;
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

impl Config {
    /// Writes the report to a file when the program has stopped, as JSON, and reads the one that is there first:
    /// [`Lifecycle::last_stop`](crate::Lifecycle::last_stop). The environment variable `EXEUNT_REPORT` does the same.
    ///
    /// The file is replaced as a whole, so that nobody ever reads half a report; it must be a regular file, or not be
    /// there. A new one is for our user alone to read (mode 600), since reports name requests and errors; one that is
    /// there keeps its mode. It is not synced, since that may take longer than is left: a power cut may lose it. That it cannot be
    /// written, or not within 2 s, changes nothing about the stop; the report itself says so
    /// ([`Report::not_written`](crate::Report::not_written)).
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.json");
    /// let lifecycle = Lifecycle::install(Config::default().report_file(&path))?;
    /// let report = lifecycle.close();
    /// assert_eq!(report.not_written, None);
    /// assert!(std::fs::read_to_string(&path)?.contains(r#""exit_status":"#));
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    pub fn report_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.report_file = Some(path.into());
        self
    }
}

/// The version of the schema: goes up when a reader of the old one would misread the new one.
const SCHEMA: u32 = 1;

/// How long a disk, or a server behind a path, may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where the report goes, and what was there.
#[derive(Debug)]
pub(crate) struct ReportFile {
    path: PathBuf,
    last: Option<LastStop>,
    /// The first attempt to write it: there is one.
    written: Mutex<Option<Result<(), String>>>,
}

#[derive(Serialize)]
struct Written<'a> {
    schema: u32,
    /// Seconds since 1970.
    ended_at: f64,
    exit_status: u8,
    why: String,
    #[serde(flatten)]
    report: &'a Report,
}

impl ReportFile {
    /// Reads what the last stop left there. A file that cannot be read, or that is none of ours, is a warning.
    pub(crate) fn open(path: PathBuf) -> Self {
        let last = match LastStop::read(&path) {
            Ok(last) => last,
            Err(error) => {
                let source = std::error::Error::source(&error).map(ToString::to_string);
                _ = foreign(|| {
                    tracing::warn!(target: "exeunt::lifecycle", %error, source, "nothing is known of the last stop");
                });
                None
            }
        };
        #[cfg(feature = "metrics")]
        if let Some(last) = &last {
            _ = foreign(|| last.record_metrics());
        }
        Self { path, last, written: Mutex::new(None) }
    }

    pub(crate) fn last(&self) -> Option<&LastStop> {
        self.last.as_ref()
    }

    /// Writes it if nobody has; why it could not be, if it could not.
    pub(crate) fn write(&self, report: &Report, follow: &Arc<Follow>) -> Option<String> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let first = written.is_none();
        let result = written.get_or_insert_with(|| {
            let (path, report) = (self.path.clone(), report.clone());
            let replaced = within(PATIENCE, "exeunt-report-file", move || replace(&path, &report));
            replaced.unwrap_or_else(|| Err(io::Error::other(TOO_SLOW))).map_err(|error| {
                format!("the report could not be written to {}: {error}", self.path.display())
            })
        });
        let error = result.clone().err();
        drop(written);
        if let (true, Some(error)) = (first, &error) {
            follow.push(Item::NotWritten(error.clone()));
            follow.tell();
        }
        error
    }
}

const TOO_SLOW: &str = "that took longer than 2 s; choose a path on a disk of this machine";

fn replace(path: &Path, report: &Report) -> io::Result<()> {
    let path = target(path);
    let before = match fs::metadata(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        found => Some(found?),
    };
    if before.as_ref().is_some_and(|metadata| !metadata.is_file()) {
        // A device would be replaced by a file, and a pipe may have nobody at its other end.
        return Err(io::Error::other("it is not a regular file; choose another path"));
    }
    let ended_at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let why = report.cause.as_ref().map(ToString::to_string).unwrap_or_default();
    let written = Written { schema: SCHEMA, ended_at, exit_status: report.exit_status(), why, report };
    let mut text = serde_json::to_vec_pretty(&written)?;
    text.push(b'\n');
    // In the same directory, since only there can it be renamed in one step.
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let mut builder = tempfile::Builder::new();
    builder.prefix(".exeunt-report-");
    let mut file = builder.tempfile_in(directory.unwrap_or(Path::new(".")))?;
    // Not by the builder, whose modes are subject to the umask.
    #[cfg(unix)]
    if let Some(before) = before {
        file.as_file().set_permissions(before.permissions())?;
    }
    file.write_all(&text)?;
    file.persist(&path)?;
    Ok(())
}

/// What is replaced: a link stays one, even if what it leads to is not there.
fn target(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        if let Ok(there) = fs::canonicalize(&path) {
            return there;
        }
        let Ok(next) = fs::read_link(&path) else { break };
        // Relative to where the link is; an absolute one replaces all of it.
        path = path.parent().unwrap_or(Path::new("")).join(next);
    }
    path
}

/// As many as the kernel follows (`path_resolution(7)`).
const MOST_LINKS: usize = 40;
