//! What is known of the stop before this start.

use serde::Deserialize;
use serde::de::IgnoredAny;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How the program last stopped, from the file that it wrote then
/// ([`Config::report_file`](crate::Config::report_file)).
///
/// What other versions add is skipped, and what they leave out is empty or zero: only the exit status must be there.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LastStop {
    /// When the stop was over, by the system's clock.
    pub ended_at: SystemTime,
    /// Its exit status (L14).
    pub exit_status: u8,
    /// Why it stopped, in words.
    pub why: String,
    /// From the stop request to the end.
    pub took: Duration,
    /// How much work was cut.
    pub cut: u64,
    /// How much work was left behind.
    pub left: u64,
    /// What failed: names and errors.
    pub failures: Vec<(String, String)>,
    /// How many failures more there were.
    pub failures_left_out: u64,
    /// Stop signals that counted.
    pub attempts: u32,
}

/// Why nothing is known of the last stop, though there is a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LastStopError {
    /// It cannot be read.
    #[error("the last report, {}, cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is no report.
    #[error("{} is not a report; it will be overwritten when the program stops", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// Larger than any report, and small enough to read at a start.
const LONGEST: u64 = 64 << 20;

impl LastStop {
    /// Reads a report; `None` if there is no file.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or it is no report.
    ///
    /// ```
    /// use exeunt_lifecycle::{Config, LastStop, Lifecycle};
    ///
    /// let directory = tempfile::tempdir()?;
    /// let path = directory.path().join("report.json");
    /// assert_eq!(LastStop::read(&path)?, None);
    ///
    /// let lifecycle = Lifecycle::install(Config::default().report_file(&path))?;
    /// lifecycle.stop().fail("database", "the disk is full");
    /// _ = lifecycle.close();
    ///
    /// let last = LastStop::read(&path)?.expect("it was written");
    /// assert_eq!((last.exit_status, &*last.why), (1, "database failed: the disk is full"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read(path: impl AsRef<Path>) -> Result<Option<Self>, LastStopError> {
        let path = path.as_ref();
        let text = match read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(LastStopError::Read { path: path.to_owned(), source }),
        };
        match serde_json::from_slice::<Raw>(&text) {
            Ok(raw) => Ok(Some(raw.into())),
            Err(source) => Err(LastStopError::Content { path: path.to_owned(), source }),
        }
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        // A pipe would be waited for.
        return Err(io::Error::other("it is not a regular file; choose another path"));
    }
    if metadata.len() > LONGEST {
        return Err(io::Error::new(ErrorKind::FileTooLarge, "it is longer than any report"));
    }
    fs::read(path)
}

/// As it is written; of everything only what is needed.
#[derive(Deserialize)]
struct Raw {
    exit_status: u8,
    #[serde(default)]
    ended_at: f64,
    #[serde(default)]
    why: String,
    #[serde(default)]
    took: f64,
    #[serde(default)]
    scopes: Vec<RawScope>,
    #[serde(default)]
    failures: Vec<RawFailure>,
    #[serde(default)]
    failures_left_out: u64,
    #[serde(default)]
    attempts: u32,
}

#[derive(Deserialize)]
struct RawScope {
    #[serde(default)]
    cut: Vec<IgnoredAny>,
    #[serde(default)]
    cut_left_out: u64,
    #[serde(default)]
    left: u64,
}

#[derive(Deserialize)]
struct RawFailure {
    #[serde(default)]
    name: String,
    #[serde(default)]
    error: String,
}

impl From<Raw> for LastStop {
    fn from(raw: Raw) -> Self {
        let span = |seconds: f64| Duration::try_from_secs_f64(seconds).unwrap_or_default();
        Self {
            ended_at: UNIX_EPOCH.checked_add(span(raw.ended_at)).unwrap_or(UNIX_EPOCH),
            exit_status: raw.exit_status,
            why: raw.why,
            took: span(raw.took),
            cut: raw.scopes.iter().fold(0, |cut, scope| {
                cut.saturating_add(super::count(&scope.cut)).saturating_add(scope.cut_left_out)
            }),
            left: raw.scopes.iter().map(|scope| scope.left).fold(0, u64::saturating_add),
            failures: raw.failures.into_iter().map(|failure| (failure.name, failure.error)).collect(),
            failures_left_out: raw.failures_left_out,
            attempts: raw.attempts,
        }
    }
}
