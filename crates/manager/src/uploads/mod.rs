//! Forms that are received whole, their files on disk.

use std::path::{Path, PathBuf};

mod error;
mod form;
mod intake;
mod names;
mod receiver;

pub use error::FormError;
pub use form::{Form, SavedFile};
pub(crate) use intake::Intake;
pub use receiver::FormReceiver;

/// Where a form's files go, and how much a form may have.
///
/// Files are written to the directory as they come, under hidden names of their own (`.upload-…`), and get their names when
/// the whole form is there: all of them or none. What is not whole is removed, also when the client leaves; only a process
/// that is killed leaves hidden files behind. From `HttpMessage` on the files are the program's. Nothing is ever written
/// outside of the directory, and nothing is replaced unless that is asked for. A file that is coming has a descriptor,
/// beside its connection's.
///
/// Writing takes the thread that polls for as long as the kernel takes to take the bytes; that is the page cache's time, but
/// a disk's where memory is short. Nothing is synchronized (fsync(2)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uploads {
    directory: PathBuf,
    save_as: SaveAs,
    bytes: u64,
    file_bytes: u64,
    field_bytes: usize,
    parts: usize,
}

/// What saved files are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SaveAs {
    /// Letters and digits by chance, without an extension: what a client says can neither hide nor run. (They are no secret.)
    #[default]
    Random,
    /// The client's name for it, or what is left of that: without folders, leading dots, control characters and whatever a
    /// shell or another system takes for something else, and no longer than 200 bytes. Where there is such a file already, a
    /// number is added (`a-2.txt`), and behind `a-10.txt` letters and digits by chance. Such a directory is not to be served from as it is: a page of the client's would be one of
    /// the server's.
    ClientName,
    /// The same, in place of any file that has that name already. If a form's file cannot be placed, those before it stay:
    /// what they have replaced is gone.
    ClientNameReplacing,
}

impl Uploads {
    /// Into this directory, which has to exist, with the other things as they are by default.
    #[must_use]
    pub fn to(directory: impl Into<PathBuf>) -> Self {
        const MIB: usize = 1024 * 1024;
        Self {
            directory: directory.into(),
            save_as: SaveAs::default(),
            bytes: 1024 * MIB as u64,
            file_bytes: u64::MAX,
            field_bytes: MIB,
            parts: crate::http::multipart::Multipart::PARTS,
        }
    }

    /// What files are called. By chance by default.
    #[must_use]
    pub fn save_as(self, save_as: SaveAs) -> Self {
        Self { save_as, ..self }
    }

    /// The most bytes of a whole form; beyond it, 413. Default 1 GiB: a disk should not be filled by one request.
    #[must_use]
    pub fn bytes(self, bytes: u64) -> Self {
        Self { bytes, ..self }
    }

    /// The most bytes of one file; beyond it, 413. As many as of the whole form by default.
    #[must_use]
    pub fn file_bytes(self, file_bytes: u64) -> Self {
        Self { file_bytes, ..self }
    }

    /// The most bytes of all that is kept in memory, which is everything but the files' content: names and values. Default
    /// 1 MiB; beyond it, 413.
    #[must_use]
    pub fn field_bytes(self, field_bytes: usize) -> Self {
        Self { field_bytes, ..self }
    }

    /// The most fields and files together. Default 1,000; beyond it, 413.
    #[must_use]
    pub fn parts(self, parts: usize) -> Self {
        Self { parts, ..self }
    }

    /// Where files go.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The limit of [`bytes`](Self::bytes).
    pub(crate) fn most(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
mod tests;
