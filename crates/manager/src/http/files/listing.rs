//! What is in a folder, as a page.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use rustix::fs::{AtFlags, Dir, FileType, Stat, statat};
use rustix::io::Errno;
use std::fmt::Write as _;
use std::os::fd::{AsFd, OwnedFd};
use std::time::SystemTime;

use super::meta::Meta;

/// Entries on a page. Each is asked for its size and time, in the thread that answers.
const MOST: usize = 10_000;

struct Row {
    name: Vec<u8>,
    folder: bool,
    /// Of a file.
    size: Option<u64>,
    date: Option<String>,
}

/// The page of an open folder, whose path in the URL is `uri`, decoded; `below`: it has one above it.
pub(super) fn page(folder: &OwnedFd, uri: &[u8], below: bool, now: SystemTime) -> Result<String, Errno> {
    let mut rows = Vec::new();
    let mut more = false;
    let mut entries = Dir::read_from(folder)?;
    while let Some(entry) = entries.read() {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_bytes().starts_with(b".") {
            continue;
        }
        if rows.len() == MOST {
            more = true;
            break;
        }
        // It may be gone by now. A link is not followed: what it leads to may be no business of the client's.
        let Ok(stat) = statat(folder.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
        rows.extend(row(name.to_bytes(), &stat, now));
    }
    rows.sort_unstable_by(|one, other| (!one.folder, &one.name).cmp(&(!other.folder, &other.name)));
    Ok(write(&rows, uri, below, more))
}

fn row(name: &[u8], stat: &Stat, now: SystemTime) -> Option<Row> {
    let kind = FileType::from_raw_mode(stat.st_mode);
    let meta = Meta::new(stat, now);
    let name = name.to_vec();
    match kind {
        FileType::RegularFile => {
            Some(Row { name, folder: false, size: Some(meta.length), date: meta.date() })
        }
        FileType::Directory => Some(Row { name, folder: true, size: None, date: meta.date() }),
        FileType::Symlink => Some(Row { name, folder: false, size: None, date: None }),
        _ => None,
    }
}

fn write(rows: &[Row], uri: &[u8], below: bool, more: bool) -> String {
    const STYLE: &str = "td:nth-child(2){text-align:right;padding:0 2em}";
    let title = escaped(&String::from_utf8_lossy(uri));
    let mut page = String::with_capacity(512 + 160 * rows.len());
    page.push_str("<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\">");
    _ = write!(
        page,
        "<title>{title}</title><style>{STYLE}</style></head>\n<body><h1>{title}</h1>\n<table>\n"
    );
    if below {
        page.push_str("<tr><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n");
    }
    for Row { name, folder, size, date } in rows {
        let slash = if *folder { "/" } else { "" };
        let link = percent_encode(name, UNSAFE);
        let text = escaped(&String::from_utf8_lossy(name));
        let size = size.map(|size| size.to_string()).unwrap_or_default();
        let date = date.as_deref().unwrap_or_default();
        _ = writeln!(
            page,
            "<tr><td><a href=\"{link}{slash}\">{text}{slash}</a></td><td>{size}</td><td>{date}</td></tr>"
        );
    }
    page.push_str("</table>\n");
    if more {
        _ = writeln!(page, "<p>There is more: {MOST} entries are listed.</p>");
    }
    page.push_str("</body></html>\n");
    page
}

/// All but what RFC 3986 §2.3 leaves alone: a colon, too, which would make a scheme of what is before it.
const UNSAFE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::fs;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    fn listed(folder: &Path, uri: &[u8], below: bool) -> String {
        let folder = super::super::root::open_any(folder).unwrap();
        page(&folder, uri, below, SystemTime::now()).unwrap()
    }

    /// Names and targets, in order.
    fn links(page: &str) -> Vec<(String, String)> {
        let links = page.split("<a href=\"").skip(1);
        let parts = links.map(|rest| rest.split_once("</a>").unwrap().0.split_once("\">").unwrap());
        parts.map(|(link, text)| (link.to_owned(), text.to_owned())).collect()
    }

    #[test]
    fn names_are_sorted_and_escaped() {
        let place = tempfile::tempdir().unwrap();
        for name in ["b", "a", "ü & <script>'\"", "a:b", "100%", "?#", ".hidden"] {
            fs::write(place.path().join(name), name).unwrap();
        }
        fs::write(place.path().join(OsStr::from_bytes(b"\xff\n")), "").unwrap();
        fs::create_dir(place.path().join("z")).unwrap();
        symlink("/etc/passwd", place.path().join("link")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            place.path().join("fifo"),
            FileType::Fifo,
            rustix::fs::Mode::RWXU,
            0,
        )
        .unwrap();
        let page = listed(place.path(), b"/x<y", true);
        assert!(page.contains("<title>/x&lt;y</title>") && !page.contains("<script>"), "{page}");
        let links = links(&page);
        let links: Vec<_> = links.iter().map(|(link, text)| (link.as_str(), text.as_str())).collect();
        assert_eq!(
            links,
            [
                ("../", "../"),
                ("z/", "z/"),
                ("100%25", "100%"),
                ("%3F%23", "?#"),
                ("a", "a"),
                ("a%3Ab", "a:b"),
                ("b", "b"),
                ("link", "link"),
                ("%C3%BC%20%26%20%3Cscript%3E%27%22", "ü &amp; &lt;script&gt;&#39;&quot;"),
                ("%FF%0A", "\u{fffd}\n"),
            ]
        );
        assert!(page.contains(">b</a></td><td>1</td><td>") && page.contains(" GMT</td>"), "{page}");
        assert!(
            page.contains(">link</a></td><td></td><td></td>"),
            "nothing of what is behind a link: {page}"
        );
        assert!(!listed(place.path(), b"/", false).contains("../"));
    }

    #[test]
    fn a_page_has_an_end() {
        let place = tempfile::tempdir().unwrap();
        for name in 0..MOST {
            fs::write(place.path().join(name.to_string()), "").unwrap();
        }
        let whole = listed(place.path(), b"/", false);
        assert_eq!(links(&whole).len(), MOST);
        assert!(!whole.contains("There is more"));
        fs::write(place.path().join("one"), "").unwrap();
        let part = listed(place.path(), b"/", false);
        assert_eq!(links(&part).len(), MOST);
        assert!(part.contains("There is more"));
    }
}
