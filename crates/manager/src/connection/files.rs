//! Files as answers.

use super::Connection;
use crate::error::AnswerError;
use crate::http::Request;
use crate::http::files::{Answer, Body, Files};
use crate::session::Source;
use std::path::Path;

impl Connection {
    /// Answers the request with what its path means in the folder (rule M19): a file, the index or a list of a folder, or a
    /// refusal (404 and so on). The file is opened here, and what is not small of it is read as the peer takes it.
    ///
    /// A disk that is slow holds up whoever calls this, and the loop: files are read as they are needed, from the page
    /// cache at best.
    ///
    /// # Errors
    ///
    /// See [`AnswerError`]: the request was answered already, say. That a file is not to be had is none.
    pub fn serve_dir(&self, request: &Request, files: &Files) -> Result<(), AnswerError> {
        self.serve(files.answer(request))
    }

    /// The same with one file, whatever the request's path is. `path` is the program's: it may be anywhere, and links in it
    /// are followed. What is no file, a folder too, is not found.
    ///
    /// # Errors
    ///
    /// As for [`serve_dir`](Self::serve_dir).
    pub fn serve_file(
        &self,
        request: &Request,
        path: impl AsRef<Path>,
        files: &Files,
    ) -> Result<(), AnswerError> {
        self.serve(files.answer_file(request, path.as_ref()))
    }

    fn serve(&self, Answer { status, headers, body }: Answer<'_>) -> Result<(), AnswerError> {
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_ref())).collect();
        let (here, source) = match body {
            Body::Here(bytes) => (bytes, None),
            Body::Nowhere => (Vec::new(), None),
            Body::Source { file, from, length } => (Vec::new(), Source::new(file, from, length)),
        };
        self.answer(|session, core| match source {
            Some(source) => session.serve(core, status, &headers, source),
            None => session.reply(core, status, &headers, &here),
        })
    }
}
