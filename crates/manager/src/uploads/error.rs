//! Why a form is not received.

use std::io;
use std::path::PathBuf;

use crate::error::StreamError;
use crate::http::multipart::MultipartError;

/// What is wrong with a form, with its size, or with the place for its files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FormError {
    /// The body is of no type that a form has.
    #[error(
        "the content type is `{content_type}`; send `multipart/form-data` or `application/x-www-form-urlencoded`"
    )]
    OtherType {
        /// As it was sent; empty if it was not.
        content_type: String,
    },
    /// It is not taken apart.
    #[error(transparent)]
    Multipart(#[from] MultipartError),
    /// A file is too large.
    #[error("the file in the field `{field}` is larger than {limit} bytes")]
    FileTooLarge {
        /// The field's name.
        field: String,
        /// In bytes.
        limit: u64,
    },
    /// Names and values are too long together.
    #[error("the form's names and values are longer than {limit} bytes together")]
    FieldsTooLong {
        /// In bytes.
        limit: usize,
    },
    /// There are too many variables.
    #[error("the form has more than {limit} fields")]
    TooManyFields {
        /// How many there may be.
        limit: usize,
    },
    /// A file cannot be written.
    #[error("the upload cannot be written to `{path}`: {source}")]
    Disk {
        /// Of the file, or of the directory if there is none yet.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It was asked for too late, or of a connection that has no body.
    #[error(transparent)]
    Stream(#[from] StreamError),
}

impl FormError {
    /// What to answer: 415 for another type, 413 for too much, 400 for no form, 507 where there is no room (RFC 4918 §11.5),
    /// else 500.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::OtherType { .. } => 415,
            Self::Multipart(error) => error.status(),
            Self::FileTooLarge { .. } | Self::FieldsTooLong { .. } | Self::TooManyFields { .. } => 413,
            Self::Disk { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                    507
                }
                _ => 500,
            },
            Self::Stream(_) => 500,
        }
    }
}
