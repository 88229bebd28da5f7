//! Files as answers: which one a request asks for, whether it may have it, and in what words it gets it.
//!
//! Knows the disk, and no socket.

mod answer;
mod conditions;
mod listing;
mod meta;
mod path;
mod range;
mod refusal;
mod root;
mod types;

pub(crate) use answer::{Answer, Body};
use root::Root;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is served of a folder, and how: for [`Connection::serve_dir`](crate::Connection::serve_dir) and
/// [`serve_file`](crate::Connection::serve_file). Made once, and kept for all requests.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// use exeunt_manager::Files;
///
/// let files = Files::open(folder)?
///     .listing(true)
///     .header("Cache-Control", "max-age=60")
///     .content_type("md", "text/markdown; charset=utf-8");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Files {
    root: Option<Arc<Root>>,
    prefix: Vec<Vec<u8>>,
    index: Option<String>,
    listing: bool,
    hidden: bool,
    headers: Vec<(String, String)>,
    types: Vec<(String, String)>,
    page404: Option<(u16, PathBuf)>,
}

/// The folder cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("the folder `{}` cannot be served: {source}", path.display())]
#[non_exhaustive]
pub struct FilesError {
    /// As it was given.
    pub path: PathBuf,
    /// What the system says.
    pub source: io::Error,
}

impl Files {
    /// Serves what is in that folder.
    ///
    /// It is opened here, and stays the same folder when its path is given to another: to serve another release, open
    /// again.
    ///
    /// # Errors
    ///
    /// It is not there, is no folder, or may not be searched.
    pub fn open(root: impl AsRef<Path>) -> Result<Self, FilesError> {
        let path = root.as_ref();
        let root =
            Root::open(path).map_err(|error| FilesError { path: path.to_owned(), source: error.into() })?;
        Ok(Self { root: Some(Arc::new(root)), ..Self::without_folder() })
    }

    /// No folder: for [`serve_file`](crate::Connection::serve_file) alone. `serve_dir` finds nothing.
    #[must_use]
    pub fn without_folder() -> Self {
        Self {
            root: None,
            prefix: Vec::new(),
            index: Some("index.html".to_owned()),
            listing: false,
            hidden: true,
            headers: Vec::new(),
            types: Vec::new(),
            page404: None,
        }
    }

    /// Where in the URLs the folder begins: with `/static`, `/static/a.css` is its `a.css`, and other paths are not found.
    /// Not percent-encoded. Default `/`.
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Self {
        let segments = prefix.split('/').filter(|segment| !segment.is_empty());
        self.prefix = segments.map(|segment| segment.as_bytes().to_vec()).collect();
        self
    }

    /// What is served for a folder, if it is there: a name in it; none, if that is empty. Default `index.html`.
    #[must_use]
    pub fn index(mut self, name: &str) -> Self {
        self.index = Some(name.to_owned()).filter(|name| !name.is_empty());
        self
    }

    /// Whether a folder without index is answered with a list of what is in it, rather than with 404. Default no.
    ///
    /// The list has the first 10,000 entries that the system gives, in alphabetical order; not those whose names begin with
    /// a dot, nor what is neither file, folder nor link.
    #[must_use]
    pub fn listing(mut self, yes: bool) -> Self {
        self.listing = yes;
        self
    }

    /// Whether files and folders whose names begin with a dot are served. Default yes; `.well-known` (RFC 8615) always is.
    #[must_use]
    pub fn hidden(mut self, yes: bool) -> Self {
        self.hidden = yes;
        self
    }

    /// One more field for each answer that is no refusal (a status below 400, or the page for 404).
    ///
    /// It is looked at when it is written: see [`ReplyError`](crate::ReplyError).
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The `Content-Type` of files with that extension, in any case, instead of the one they are known by.
    ///
    /// `text/…` has `charset=utf-8` by itself, these are as they are given. What is known by nothing is
    /// `application/octet-stream`.
    #[must_use]
    pub fn content_type(mut self, extension: &str, content_type: impl Into<String>) -> Self {
        let extension = extension.trim_start_matches('.').to_ascii_lowercase();
        self.types.push((extension, content_type.into()));
        self
    }

    /// What is served, with which status, for what is not found: a file anywhere. 404 says so; 200 makes it the one page
    /// of an application that looks at the path by itself. If it is not there: 404, in one line.
    #[must_use]
    pub fn page404(mut self, path: impl Into<PathBuf>, status: u16) -> Self {
        self.page404 = Some((status, path.into()));
        self
    }
}
