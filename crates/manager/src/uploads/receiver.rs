//! A form on its way in.

use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;

use tempfile::{Builder, NamedTempFile, TempPath};

use super::names::{HIDDEN, place};
use super::{Form, FormError, SaveAs, SavedFile, Uploads};
use crate::http::multipart::{Multipart, MultipartError, Part, Piece};
use crate::http::{token, variables};

/// Takes a form as it comes, and writes its files. Dropped, it leaves nothing behind.
///
/// [`Connection::receive_form`](crate::Connection::receive_form) does with it all that there is to do; this is for whoever
/// has the pieces from elsewhere, or wants to see them first.
///
/// # Examples
///
/// ```
/// use exeunt_manager::Uploads;
///
/// # let directory = tempfile::tempdir()?;
/// let mut form = Uploads::to(directory.path()).receiver("multipart/form-data; boundary=x")?;
/// form.take(b"--x\r\nContent-Disposition: form-data; name=f; filename=\"../a.txt\"\r\n\r\nhel")?;
/// form.take(b"lo\r\n--x--\r\n")?;
/// let form = form.finish()?;
/// let file = form.file("f").expect("it came");
/// assert_eq!((file.filename(), file.length()), ("../a.txt", 5));
/// assert_eq!(std::fs::read(file.path())?, b"hello");
/// assert_eq!(file.path().parent(), Some(directory.path()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct FormReceiver {
    kind: Kind,
    received: Received,
    /// Something could not be taken.
    torn: bool,
}

#[derive(Debug)]
enum Kind {
    Multipart(Box<Multipart>),
    /// All of it, so far.
    Urlencoded(Vec<u8>),
}

#[derive(Debug)]
struct Received {
    uploads: Uploads,
    fields: Vec<(String, String)>,
    files: Vec<(SavedFile, TempPath)>,
    /// Bytes of names and values, so far.
    kept: usize,
    open: Open,
}

/// The part that is coming.
#[derive(Debug)]
enum Open {
    Nothing,
    Field { name: String, value: Vec<u8> },
    File { file: SavedFile, hidden: Option<NamedTempFile> },
}

impl Uploads {
    /// Receives one form of that `Content-Type`: `multipart/form-data`, or `application/x-www-form-urlencoded`.
    ///
    /// # Errors
    ///
    /// It is of another type, or has no boundary.
    pub fn receiver(&self, content_type: &str) -> Result<FormReceiver, FormError> {
        let essence = content_type.split(';').next().unwrap_or_default();
        let essence = token::trim(essence.as_bytes());
        let kind = if essence.eq_ignore_ascii_case(b"multipart/form-data") {
            Kind::Multipart(Box::new(Multipart::new(content_type)?.most_parts(self.parts)))
        } else if essence.eq_ignore_ascii_case(b"application/x-www-form-urlencoded") {
            Kind::Urlencoded(Vec::new())
        } else {
            return Err(FormError::OtherType { content_type: content_type.to_owned() });
        };
        let uploads = self.clone();
        let received =
            Received { uploads, fields: Vec::new(), files: Vec::new(), kept: 0, open: Open::Nothing };
        Ok(FormReceiver { kind, received, torn: false })
    }
}

impl FormReceiver {
    /// Takes what came next. (That a form is not longer than [`Uploads::bytes`] is for whoever gives it.)
    ///
    /// # Errors
    ///
    /// It is no form, too much, or cannot be written. What came is lost then, and [`finish`](Self::finish) fails.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(), FormError> {
        let taken = self.take_all(bytes);
        self.torn |= taken.is_err();
        taken
    }

    /// The body is over: gives the files their names.
    ///
    /// # Errors
    ///
    /// The form is not whole, or a file cannot have its name. Nothing is left of it then.
    pub fn finish(self) -> Result<Form, FormError> {
        let Self { kind, mut received, torn } = self;
        if torn {
            return Err(MultipartError::Torn.into());
        }
        match kind {
            Kind::Multipart(form) => form.finish()?,
            Kind::Urlencoded(text) => {
                let limit = received.uploads.parts;
                received.fields = variables(&text).take(limit.saturating_add(1)).collect();
                if received.fields.len() > limit {
                    return Err(FormError::TooManyFields { limit });
                }
            }
        }
        received.place()
    }

    fn take_all(&mut self, mut bytes: &[u8]) -> Result<(), FormError> {
        let received = &mut self.received;
        match &mut self.kind {
            Kind::Multipart(form) => {
                while let Some(piece) = form.next_piece(&mut bytes)? {
                    match piece {
                        Piece::Part(part) => received.begin(&part)?,
                        Piece::Data(data) => received.data(data)?,
                        Piece::End => received.end()?,
                    }
                }
                Ok(())
            }
            Kind::Urlencoded(text) => {
                received.keep(bytes.len())?;
                text.extend_from_slice(bytes);
                Ok(())
            }
        }
    }
}

impl Received {
    fn begin(&mut self, part: &Part) -> Result<(), FormError> {
        let text = |text: Option<&str>| text.map_or(0, str::len);
        self.keep(part.name().len() + text(part.filename()) + text(part.content_type()))?;
        let name = part.name().to_owned();
        self.open = match part.filename() {
            None => Open::Field { name, value: Vec::new() },
            Some(filename) => {
                let content_type = part.content_type().map(str::to_owned);
                let (filename, path) = (filename.to_owned(), std::path::PathBuf::new());
                let file = SavedFile { field: name, filename, content_type, path, length: 0 };
                Open::File { file, hidden: None }
            }
        };
        Ok(())
    }

    fn data(&mut self, data: &[u8]) -> Result<(), FormError> {
        if let Open::Field { .. } = self.open {
            self.keep(data.len())?;
        }
        match &mut self.open {
            Open::Nothing => {}
            Open::Field { value, .. } => value.extend_from_slice(data),
            Open::File { file, hidden } => {
                file.length = file.length.saturating_add(data.len() as u64);
                let limit = self.uploads.file_bytes;
                if file.length > limit {
                    return Err(FormError::FileTooLarge { field: std::mem::take(&mut file.field), limit });
                }
                let hidden = match hidden {
                    Some(hidden) => hidden,
                    none => none.insert(create(&self.uploads)?),
                };
                let written = hidden.write_all(data);
                written.map_err(|source| FormError::Disk { path: hidden.path().to_owned(), source })?;
            }
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), FormError> {
        match std::mem::replace(&mut self.open, Open::Nothing) {
            Open::Nothing => {}
            Open::Field { name, value } => {
                self.fields.push((name, String::from_utf8_lossy(&value).into_owned()));
            }
            // Nothing was chosen.
            Open::File { file, hidden: None } if file.filename.is_empty() => {}
            Open::File { file, hidden } => {
                let hidden = match hidden {
                    Some(hidden) => hidden,
                    None => create(&self.uploads)?,
                };
                // Its descriptor is not needed any more, and a form may have many.
                self.files.push((file, hidden.into_temp_path()));
            }
        }
        Ok(())
    }

    fn keep(&mut self, bytes: usize) -> Result<(), FormError> {
        let limit = self.uploads.field_bytes;
        self.kept = self.kept.saturating_add(bytes);
        if self.kept > limit { Err(FormError::FieldsTooLong { limit }) } else { Ok(()) }
    }

    fn place(self) -> Result<Form, FormError> {
        let save_as = self.uploads.save_as;
        let mut form = Form { fields: self.fields, files: Vec::new() };
        for (mut file, hidden) in self.files {
            match place(hidden, &file.filename, save_as) {
                Ok(path) => file.path = path,
                Err((path, source)) => {
                    // What replaced others is not taken back: nothing would be there then.
                    if save_as != SaveAs::ClientNameReplacing {
                        form.remove();
                    }
                    return Err(FormError::Disk { path, source });
                }
            }
            form.files.push(file);
        }
        Ok(form)
    }
}

/// As any program creates files (open(2)): the umask decides.
fn create(uploads: &Uploads) -> Result<NamedTempFile, FormError> {
    let mut builder = Builder::new();
    builder.prefix(HIDDEN).rand_bytes(20).permissions(Permissions::from_mode(0o666));
    let directory = uploads.directory();
    builder.tempfile_in(directory).map_err(|source| FormError::Disk { path: directory.to_owned(), source })
}
