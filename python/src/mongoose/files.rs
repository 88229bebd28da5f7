//! Files as answers.

use super::connection::Connection;
use super::errors::Raised;
use super::http::HttpMessage;
use exeunt_manager as engine;
use exeunt_manager::{AnswerError, Files};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::path::PathBuf;

/// What programs say about the files that they serve.
pub(super) struct Said<'a> {
    pub(super) extra_headers: &'a str,
    pub(super) mime_types: &'a str,
    pub(super) page404: &'a str,
}

/// Answers with what the request's path means in that folder.
pub(super) fn serve_dir(
    py: Python<'_>,
    conn: &Connection,
    message: &HttpMessage,
    root: &PathBuf,
    said: &Said<'_>,
) -> PyResult<()> {
    serve(py, conn, message, |conn, request| {
        // In a folder that is not there nothing is found.
        let files = Files::open(root).unwrap_or_else(|_| Files::without_folder()).listing(true);
        let files = said.about(files).map_err(Refused::Given)?;
        conn.serve_dir(request, &files).map_err(Refused::Answer)
    })
}

/// Answers with that file.
pub(super) fn serve_file(
    py: Python<'_>,
    conn: &Connection,
    message: &HttpMessage,
    path: &PathBuf,
    said: &Said<'_>,
) -> PyResult<()> {
    serve(py, conn, message, |conn, request| {
        let files = said.about(Files::without_folder()).map_err(Refused::Given)?;
        conn.serve_file(request, path, &files).map_err(Refused::Answer)
    })
}

enum Refused {
    Given(String),
    Answer(AnswerError),
}

fn serve(
    py: Python<'_>,
    conn: &Connection,
    message: &HttpMessage,
    serve: impl Fn(&engine::Connection, &engine::Request) -> Result<(), Refused> + Sync,
) -> PyResult<()> {
    let request = conn.request(message)?;
    let answering = conn.answering()?;
    // The disk may take its time.
    py.detach(|| serve(&answering, &request)).map_err(|refused| match refused {
        Refused::Given(why) => PyValueError::new_err(why),
        Refused::Answer(error) => error.raised(),
    })
}

impl Said<'_> {
    fn about(&self, mut files: Files) -> Result<Files, String> {
        for line in self.extra_headers.split("\r\n").filter(|line| !line.is_empty()) {
            let Some((name, value)) = line.split_once(':') else {
                return Err(format!("extra_headers are lines `Name: value\\r\\n`, which {line:?} is not"));
            };
            files = files.header(name, value.trim());
        }
        for pair in self.mime_types.split(',').filter(|pair| !pair.trim().is_empty()) {
            let Some((extension, kind)) = pair.split_once('=') else {
                return Err(format!("mime_types are pairs `extension=type`, which {pair:?} is not"));
            };
            files = files.content_type(extension.trim(), kind.trim());
        }
        if !self.page404.is_empty() {
            files = files.page404(self.page404, 200);
        }
        Ok(files)
    }
}
