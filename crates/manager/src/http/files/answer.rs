//! A request's answer: its status, its fields, and where its body is.

use super::conditions::{Verdict, judge};
use super::meta::Meta;
use super::range::Part;
use super::refusal::{brief, refusal, status_of};
use super::root::open_any;
use super::{Files, listing, path};
use crate::http::Request;
use rustix::fs::{FileType, Stat, fstat};
use rustix::io::{Errno, pread};
use std::borrow::Cow;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::SystemTime;

/// What is said, and not yet written.
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'a str, Cow<'a, str>)>,
    pub(crate) body: Body,
}

pub(crate) enum Body {
    /// In memory.
    Here(Vec<u8>),
    /// Still in the file: so many bytes from there on.
    Source { file: OwnedFd, from: u64, length: u64 },
    /// There is none: to HEAD, and in a 304.
    Nowhere,
}

/// A file up to this is read at once, and goes with its head in one write. Larger ones cost a call of their own, and spare
/// two copies.
const SMALL: u64 = 16 * 1024;

impl Files {
    /// Answers with what the request's path means in the folder.
    pub(crate) fn answer<'a>(&'a self, request: &Request) -> Answer<'a> {
        self.answered(request, self.in_folder(request))
    }

    /// Answers with that file.
    pub(crate) fn answer_file<'a>(&'a self, request: &Request, path: &Path) -> Answer<'a> {
        self.answered(request, self.one(request, path))
    }

    fn answered<'a>(&'a self, request: &Request, answer: Result<Answer<'a>, u16>) -> Answer<'a> {
        match answer {
            Ok(answer) => answer,
            Err(404) => self.not_found(request).unwrap_or_else(|| refusal(404)),
            Err(status) => refusal(status),
        }
    }

    fn in_folder<'a>(&'a self, request: &Request) -> Result<Answer<'a>, u16> {
        allowed(request)?;
        let path::Wanted { mut path, slash } = path::resolve(request.uri(), &self.prefix, self.hidden)?;
        let root = self.root.as_ref().ok_or(404_u16)?;
        if slash && let Some(index) = &self.index {
            let folder = path.len();
            if folder > 0 {
                path.push(b'/');
            }
            path.extend_from_slice(index.as_bytes());
            match root.find(&path).and_then(looked_at) {
                Ok((file, stat)) if is(&stat, FileType::RegularFile) => {
                    return self.send(request, file, &stat, &path);
                }
                Ok(_) => path.truncate(folder),
                Err(error) => match status_of(error, request) {
                    404 => path.truncate(folder),
                    status => return Err(status),
                },
            }
        }
        let (file, stat) = root.find(&path).and_then(looked_at).map_err(|error| status_of(error, request))?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile if !slash => self.send(request, file, &stat, &path),
            FileType::Directory if !slash => {
                let location = path::with_slash(request.uri(), request.query());
                let mut answer = brief(301);
                answer.headers.push(("Location", location.into()));
                Ok(self.with_own(answer))
            }
            FileType::Directory if self.listing => self.list(request, &file, &path),
            _ => Err(404),
        }
    }

    fn one<'a>(&'a self, request: &Request, path: &Path) -> Result<Answer<'a>, u16> {
        allowed(request)?;
        let (file, stat) = open_any(path).and_then(looked_at).map_err(|error| status_of(error, request))?;
        match is(&stat, FileType::RegularFile) {
            true => self.send(request, file, &stat, path.as_os_str().as_bytes()),
            false => Err(404),
        }
    }

    fn list<'a>(&'a self, request: &Request, folder: &OwnedFd, path: &[u8]) -> Result<Answer<'a>, u16> {
        let above = self.prefix.iter().flat_map(|segment| [b"/", segment.as_slice()].concat());
        let mut uri: Vec<u8> = above.chain(*b"/").collect();
        if !path.is_empty() {
            uri.extend_from_slice(path);
            uri.push(b'/');
        }
        let page = listing::page(folder, &uri, !path.is_empty(), SystemTime::now())
            .map_err(|error| status_of(error, request))?;
        let headers = vec![("Content-Type", Cow::Borrowed("text/html; charset=utf-8"))];
        Ok(self.with_own(Answer { status: 200, headers, body: Body::Here(page.into()) }))
    }

    /// The program's page for what is not found.
    fn not_found<'a>(&'a self, request: &Request) -> Option<Answer<'a>> {
        let (status, path) = self.page404.as_ref()?;
        let (file, stat) = open_any(path).and_then(looked_at).ok()?;
        if !is(&stat, FileType::RegularFile) {
            return None;
        }
        let headers = vec![("Content-Type", self.type_of(path.as_os_str().as_bytes()))];
        let length = Meta::new(&stat, SystemTime::now()).length;
        Some(self.with_own(with_body(request, *status, headers, file, 0, length).ok()?))
    }

    fn send<'a>(
        &'a self,
        request: &Request,
        file: OwnedFd,
        stat: &Stat,
        path: &[u8],
    ) -> Result<Answer<'a>, u16> {
        let meta = Meta::new(stat, SystemTime::now());
        let verdict = judge(request, &meta);
        let length = meta.length;
        let mut headers = Vec::with_capacity(8 + self.headers.len());
        if let Verdict::Other = verdict {
            return Err(412);
        }
        if let Verdict::Send(Part::Beyond) = verdict {
            let mut answer = refusal(416);
            answer.headers.push(("Content-Range", format!("bytes */{length}").into()));
            return Ok(answer);
        }
        if let Some(date) = meta.date() {
            headers.push(("Last-Modified", Cow::Owned(date)));
        }
        headers.push(("ETag", Cow::Owned(meta.etag)));
        if let Verdict::Known = verdict {
            return Ok(self.with_own(Answer { status: 304, headers, body: Body::Nowhere }));
        }
        headers.push(("Content-Type", self.type_of(path)));
        headers.push(("Accept-Ranges", Cow::Borrowed("bytes")));
        let (status, from, length) = match verdict {
            Verdict::Send(Part::Some { from, length: part }) => {
                let range = format!("bytes {from}-{}/{length}", from + part - 1);
                headers.push(("Content-Range", Cow::Owned(range)));
                (206, from, part)
            }
            _ => (200, 0, length),
        };
        Ok(self.with_own(with_body(request, status, headers, file, from, length)?))
    }

    fn with_own<'a>(&'a self, mut answer: Answer<'a>) -> Answer<'a> {
        if let Body::Here(body) = &answer.body {
            // Said here, it contradicts a framing that the program's fields would have.
            answer.headers.push(("Content-Length", body.len().to_string().into()));
        }
        // One that says the type says it in our place.
        if self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("Content-Type")) {
            answer.headers.retain(|(name, _)| *name != "Content-Type");
        }
        answer
            .headers
            .extend(self.headers.iter().map(|(name, value)| (name.as_str(), Cow::Borrowed(value.as_str()))));
        answer
    }
}

fn with_body<'a>(
    request: &Request,
    status: u16,
    mut headers: Vec<(&'a str, Cow<'a, str>)>,
    file: OwnedFd,
    from: u64,
    length: u64,
) -> Result<Answer<'a>, u16> {
    let body = match length {
        _ if request.method() == "HEAD" => {
            headers.push(("Content-Length", length.to_string().into()));
            Body::Nowhere
        }
        ..=SMALL => {
            Body::Here(read(&file, from, length as usize).map_err(|error| status_of(error, request))?)
        }
        _ => {
            headers.push(("Content-Length", length.to_string().into()));
            Body::Source { file, from, length }
        }
    };
    Ok(Answer { status, headers, body })
}

/// So much of a file, or an error.
fn read(file: &OwnedFd, from: u64, length: usize) -> Result<Vec<u8>, Errno> {
    let mut bytes = vec![0; length];
    let mut had = 0;
    while let Some(rest @ [_, ..]) = bytes.get_mut(had..) {
        match pread(file.as_fd(), rest, from + had as u64) {
            // It has become shorter.
            Ok(0) => return Err(Errno::IO),
            Ok(more) => had += more,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}

fn looked_at(file: OwnedFd) -> Result<(OwnedFd, Stat), Errno> {
    let stat = fstat(&file)?;
    Ok((file, stat))
}

fn is(stat: &Stat, kind: FileType) -> bool {
    FileType::from_raw_mode(stat.st_mode) == kind
}

fn allowed(request: &Request) -> Result<(), u16> {
    if matches!(request.method(), "GET" | "HEAD") { Ok(()) } else { Err(405) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn what_has_become_shorter_is_no_body() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"abcdef").unwrap();
        let file = OwnedFd::from(file);
        assert_eq!(read(&file, 1, 4).unwrap(), b"bcde");
        assert_eq!(read(&file, 0, 0).unwrap(), b"");
        assert_eq!(read(&file, 1, 6), Err(Errno::IO));
    }
}
