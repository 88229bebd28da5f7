//! What saved files are called.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempPath;

use super::SaveAs;

/// What hidden files begin with.
pub(super) const HIDDEN: &str = ".upload-";

/// File systems have 255 bytes for a name; a number may be added.
const LONGEST: usize = 200;

/// An extension is kept up to there.
const EXTENSION: usize = 20;

/// Numbers that are tried where there are such files already: up to this one, and chance behind it. A form may have a
/// thousand files of one name, and a directory any number, so that to count on would be a walk over all of them for each.
const NUMBERS: u32 = 10;

/// Gives a hidden file its name; where it is then.
pub(super) fn place(
    hidden: TempPath,
    filename: &str,
    save_as: SaveAs,
) -> Result<PathBuf, (PathBuf, io::Error)> {
    let directory = hidden.parent().map(Path::to_owned).unwrap_or_default();
    let chance = {
        let name = hidden.file_name().unwrap_or_default().as_bytes();
        OsStr::from_bytes(name.strip_prefix(HIDDEN.as_bytes()).unwrap_or(name)).to_owned()
    };
    let name = match save_as {
        SaveAs::Random => chance.clone(),
        SaveAs::ClientName | SaveAs::ClientNameReplacing => harmless(filename).into(),
    };
    let path = directory.join(&name);
    if save_as == SaveAs::ClientNameReplacing {
        return hidden.persist(&path).map(|()| path.clone()).map_err(|failed| (path, failed.error));
    }
    let mut hidden = hidden;
    let mut candidate = path.clone();
    let mut number = 1;
    loop {
        match hidden.persist_noclobber(&candidate) {
            Ok(()) => return Ok(candidate),
            Err(failed) if failed.error.kind() == io::ErrorKind::AlreadyExists && number <= NUMBERS => {
                hidden = failed.path;
                number += 1;
                candidate = match number {
                    ..=NUMBERS => with_suffix(&path, &number.to_string()),
                    _ => with_suffix(&path, &chance.to_string_lossy()),
                };
            }
            Err(failed) => return Err((candidate, failed.error)),
        }
    }
}

/// `a-2.txt`
fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = match path.extension() {
        Some(extension) => format!("{stem}-{suffix}.{}", extension.to_string_lossy()),
        None => format!("{stem}-{suffix}"),
    };
    path.with_file_name(name)
}

/// What of a client's name for a file can be one here.
fn harmless(filename: &str) -> String {
    let last = filename.rsplit(['/', '\\']).next().unwrap_or_default();
    let replaced: String = last.chars().map(|char| if is_harmless(char) { char } else { '_' }).collect();
    // Leading dots hide; blanks and dots at the end are lost on other systems; a dash begins an option.
    let name = replaced.trim_start_matches(['.', '-', ' ']).trim_end_matches(['.', ' ']);
    if name.is_empty() {
        return "file".to_owned();
    }
    if name.len() <= LONGEST {
        return name.to_owned();
    }
    let (stem, extension) = match name.rsplit_once('.') {
        Some((stem, extension)) if extension.len() <= EXTENSION => (stem, Some(extension)),
        _ => (name, None),
    };
    let room = LONGEST - extension.map_or(0, |extension| extension.len() + 1);
    let stem = stem.get(..stem.floor_char_boundary(room)).unwrap_or_default();
    extension.map_or_else(|| stem.to_owned(), |extension| format!("{stem}.{extension}"))
}

fn is_harmless(char: char) -> bool {
    // Those that turn the direction of writing make `txt.exe` of `exe.txt`.
    let turns = matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !(char.is_control() || turns || "<>:\"|?*".contains(char))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_harmless() {
        let table = [
            ("a.txt", "a.txt"),
            ("Jürgen A..txt", "Jürgen A..txt"),
            ("../../etc/passwd", "passwd"),
            ("/etc/passwd", "passwd"),
            (r"C:\dir\a.txt", "a.txt"),
            (r"..\a/", "file"),
            ("..", "file"),
            (".", "file"),
            ("", "file"),
            (".bashrc", "bashrc"),
            (".upload-x", "upload-x"),
            ("-rf", "rf"),
            (" a. ", "a"),
            ("a\0b\nc\x7f", "a_b_c_"),
            ("a:b|c?.txt", "a_b_c_.txt"),
            ("\u{202e}txt.exe", "_txt.exe"),
        ];
        for (name, expected) in table {
            assert_eq!(harmless(name), expected, "{name:?}");
        }
        let long = format!("{}.txt", "ü".repeat(300));
        let short = harmless(&long);
        assert!(short.len() <= LONGEST && short.ends_with("ü.txt"), "{short}");
        assert_eq!(harmless(&"x".repeat(300)).len(), LONGEST);
        assert_eq!(harmless(&format!("a.{}", "x".repeat(300))).len(), LONGEST);
    }

    #[test]
    fn numbers_stand_before_the_extension() {
        for (name, expected) in [("a.txt", "a-2.txt"), ("a", "a-2"), ("a.tar.gz", "a.tar-2.gz")] {
            assert_eq!(with_suffix(&Path::new("/d").join(name), "2"), Path::new("/d").join(expected));
        }
    }

    #[test]
    fn nobody_counts_up_to_the_last_of_many() {
        let directory = tempfile::tempdir().unwrap();
        let placed = |_| {
            let mut hidden = tempfile::Builder::new();
            let hidden = hidden.prefix(HIDDEN).rand_bytes(20).tempfile_in(directory.path()).unwrap();
            let path = place(hidden.into_temp_path(), "a.txt", SaveAs::ClientName).unwrap();
            path.file_name().unwrap().to_string_lossy().into_owned()
        };
        let names: Vec<_> = (0..30).map(placed).collect();
        let counted: Vec<_> = (2..=NUMBERS).map(|number| format!("a-{number}.txt")).collect();
        assert_eq!((&*names[0], &names[1..10]), ("a.txt", &counted[..]));
        for name in &names[10..] {
            let chance = name.strip_prefix("a-").and_then(|rest| rest.strip_suffix(".txt"));
            assert_eq!(chance.map(str::len), Some(20), "{name}");
        }
    }
}
