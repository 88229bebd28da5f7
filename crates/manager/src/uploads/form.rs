//! A form that has been received.

use std::path::{Path, PathBuf};

/// A form: its fields, and its files, which are on disk.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Form {
    pub(super) fields: Vec<(String, String)>,
    pub(super) files: Vec<SavedFile>,
}

/// A file that came with a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedFile {
    pub(super) field: String,
    pub(super) filename: String,
    pub(super) content_type: Option<String>,
    pub(super) path: PathBuf,
    pub(super) length: u64,
}

impl Form {
    /// The first value of that field. Bytes that are not UTF-8 became U+FFFD.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields().find(|(other, _)| *other == name).map(|(_, value)| value)
    }

    /// All fields that are no files, by name and value, in order.
    #[must_use]
    pub fn fields(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The first file of that field.
    #[must_use]
    pub fn file(&self, field: &str) -> Option<&SavedFile> {
        self.files.iter().find(|file| file.field == field)
    }

    /// All files, in order. A file input in which nothing was chosen (RFC 7578 §4.2 has its empty name) is none.
    #[must_use]
    pub fn files(&self) -> &[SavedFile] {
        &self.files
    }

    /// Removes what nobody will hear of.
    pub(crate) fn remove(&self) {
        for file in &self.files {
            if let Err(error) = std::fs::remove_file(&file.path) {
                tracing::warn!(target: "exeunt::manager", path = %file.path.display(), %error, "an upload is left");
            }
        }
    }
}

impl SavedFile {
    /// The name of the field that it came in.
    #[must_use]
    pub fn field(&self) -> &str {
        &self.field
    }

    /// What the client calls it: anything at all, and no path to write to.
    #[must_use]
    pub fn filename(&self) -> &str {
        &self.filename
    }

    /// What the client says it is.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// In bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }
}
