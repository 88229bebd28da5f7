//! A folder, and what can be reached below it.

use rustix::fs::{Mode, OFlags, open, openat};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// A folder that nothing is opened outside of, whatever a path or a link says (rule M19).
#[derive(Debug)]
pub(super) struct Root {
    folder: OwnedFd,
    /// openat2(2) is not to be had (before Linux 5.6, elsewhere, or in a sandbox): paths are walked, and no link is
    /// followed.
    walks: bool,
}

/// A FIFO without a writer is opened at once, and a terminal does not become ours: what is no file is opened, looked at
/// and left alone.
const READ: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

#[cfg(target_os = "linux")]
const ENTER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
#[cfg(not(target_os = "linux"))]
const ENTER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

impl Root {
    pub(super) fn open(path: &Path) -> Result<Self, Errno> {
        let folder = open(path, ENTER, Mode::empty())?;
        let walks = is_missing(beneath(folder.as_fd(), b".", ENTER).err())?;
        Ok(Self { folder, walks })
    }

    /// Opens what is there, for reading. `path` is relative, and empty for the folder itself.
    pub(super) fn find(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        let path = if path.is_empty() { b"." } else { path };
        if self.walks { self.walk(path) } else { beneath(self.folder.as_fd(), path, READ) }
    }

    fn walk(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        let mut names = path.split(|byte| *byte == b'/').peekable();
        let mut folder: Option<OwnedFd> = None;
        while let Some(name) = names.next() {
            if name == b".." {
                return Err(Errno::XDEV);
            }
            let at = folder.as_ref().map_or(self.folder.as_fd(), AsFd::as_fd);
            let flags = if names.peek().is_some() { ENTER } else { READ };
            folder = Some(openat(at, name, flags | OFlags::NOFOLLOW, Mode::empty())?);
        }
        folder.ok_or(Errno::NOENT)
    }
}

/// Whether openat2(2) is not to be had, by what it says of a folder that is there. What is short passes, and is no reason to
/// follow no link for good.
fn is_missing(error: Option<Errno>) -> Result<bool, Errno> {
    match error {
        Some(short @ (Errno::MFILE | Errno::NFILE | Errno::NOMEM)) => Err(short),
        error => Ok(error.is_some()),
    }
}

/// Opens a file anywhere, as the program means it.
pub(super) fn open_any(path: &Path) -> Result<OwnedFd, Errno> {
    open(path, READ, Mode::empty())
}

/// openat2(2): the kernel itself refuses whatever would lead out, and so nothing that is changed meanwhile can.
#[cfg(target_os = "linux")]
fn beneath(folder: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    use rustix::fs::{ResolveFlags, openat2};
    const TRIES: u32 = 16;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let mut found = Err(Errno::AGAIN);
    for _ in 0..TRIES {
        found = openat2(folder, path, flags, Mode::empty(), resolve);
        // Something was renamed while a link with `..` was followed; or a signal came (a file system over a network).
        if !matches!(found, Err(Errno::AGAIN | Errno::INTR)) {
            break;
        }
    }
    found
}

#[cfg(not(target_os = "linux"))]
fn beneath(_: BorrowedFd<'_>, _: &[u8], _: OFlags) -> Result<OwnedFd, Errno> {
    Err(Errno::NOSYS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn nothing_outside_is_reached() {
        let place = tempfile::tempdir().unwrap();
        let (inside, outside) = (place.path().join("inside"), place.path().join("outside"));
        fs::create_dir_all(inside.join("sub/deep")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("secret"), "secret").unwrap();
        for file in ["a", "sub/b", "sub/deep/c"] {
            fs::write(inside.join(file), file).unwrap();
        }
        let links = [
            ("in", "sub/b"),
            ("in-folder", "sub"),
            ("sub/up", "../a"),
            ("out", "../outside/secret"),
            ("out-folder", "../outside"),
            ("sub/deep/far", "../../../outside/secret"),
            ("loop", "loop"),
            ("dangling", "nothing"),
            ("proc", "/proc/self/root"),
            ("proc-file", "/proc/self/status"),
        ];
        for (link, to) in links {
            symlink(to, inside.join(link)).unwrap();
        }
        symlink(outside.join("secret"), inside.join("absolute")).unwrap();
        symlink(inside.join("a"), inside.join("absolute-in")).unwrap();
        // The path, and whether it is found: by openat2, by walking.
        let table = [
            ("", true, true),
            ("a", true, true),
            ("sub", true, true),
            ("sub/b", true, true),
            ("sub/deep/c", true, true),
            ("in", true, false),
            ("in-folder/b", true, false),
            ("in-folder/deep/c", true, false),
            ("sub/up", true, false),
            ("out", false, false),
            ("out-folder", false, false),
            ("out-folder/secret", false, false),
            ("in-folder/deep/far", false, false),
            ("absolute", false, false),
            ("absolute-in", false, false),
            ("proc/etc/passwd", false, false),
            ("proc-file", false, false),
            ("loop", false, false),
            ("dangling", false, false),
            ("nothing", false, false),
            ("a/b", false, false),
            ("..", false, false),
            ("../outside/secret", false, false),
            ("sub/../../outside/secret", false, false),
            ("/etc/passwd", false, false),
        ];
        let mut root = Root::open(&inside).unwrap();
        if root.walks {
            eprintln!("SKIPPED: openat2(2) is not to be had here");
        }
        for walks in [false, true] {
            root.walks |= walks;
            for (path, beneath, walking) in table {
                let expected = if root.walks { walking } else { beneath };
                let found = root.find(path.as_bytes());
                assert_eq!(found.is_ok(), expected, "{path:?}, walking: {}: {found:?}", root.walks);
            }
        }
    }

    #[test]
    fn what_is_short_for_a_moment_is_not_missing() {
        assert_eq!(is_missing(None), Ok(false));
        for error in [Errno::NOSYS, Errno::PERM, Errno::ACCESS, Errno::INVAL, Errno::TOOBIG] {
            assert_eq!(is_missing(Some(error)), Ok(true));
        }
        for error in [Errno::MFILE, Errno::NFILE, Errno::NOMEM] {
            assert_eq!(is_missing(Some(error)), Err(error));
        }
    }

    #[test]
    fn a_folder_is_one() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("file"), "").unwrap();
        assert!(Root::open(place.path()).is_ok());
        assert_eq!(Root::open(&place.path().join("file")).unwrap_err(), Errno::NOTDIR);
        assert_eq!(Root::open(&place.path().join("none")).unwrap_err(), Errno::NOENT);
    }
}
