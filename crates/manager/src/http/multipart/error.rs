//! Why a body is no form.

/// What is wrong with a form, or with what was said of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MultipartError {
    /// It is of another type.
    #[error("the content type is `{content_type}`; send `multipart/form-data`")]
    OtherType {
        /// As it was sent.
        content_type: String,
    },
    /// The boundary is missing, doubled, or of characters that it may not have.
    #[error("the boundary is {why}; it has 1 to 70 visible characters (RFC 2046 §5.1.1)")]
    Boundary {
        /// In words.
        why: &'static str,
    },
    /// There is something else behind a boundary, on its line.
    #[error("a boundary is not followed by `--`, or the end of its line")]
    BehindBoundary,
    /// The head of a part is not one.
    #[error("the head of a part {why}")]
    Head {
        /// In words.
        why: &'static str,
    },
    /// The head of a part has no end.
    #[error("the head of a part is longer than {limit} bytes")]
    HeadTooLong {
        /// In bytes.
        limit: usize,
    },
    /// There are too many parts.
    #[error("the form has more than {limit} parts")]
    TooManyParts {
        /// How many there may be.
        limit: usize,
    },
    /// There is too much outside of the parts.
    #[error("the form has more than {limit} bytes outside of its parts")]
    TooMuchAside {
        /// In bytes.
        limit: usize,
    },
    /// The body ended before the form did.
    #[error("the form ends before its last boundary, or where something of it was refused")]
    Torn,
}

impl MultipartError {
    /// What to answer: 415 for another type, 413 for too much, else 400.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::OtherType { .. } => 415,
            Self::HeadTooLong { .. } | Self::TooManyParts { .. } | Self::TooMuchAside { .. } => 413,
            _ => 400,
        }
    }
}
