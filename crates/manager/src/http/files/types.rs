//! Content types by extension.

use super::Files;
use std::borrow::Cow;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

impl Files {
    /// For a file of that name.
    pub(super) fn type_of(&self, path: &[u8]) -> Cow<'_, str> {
        let extension = Path::new(OsStr::from_bytes(path)).extension().and_then(OsStr::to_str);
        let Some(extension) = extension else { return Cow::Borrowed("application/octet-stream") };
        // The last one said counts.
        let own = self.types.iter().rev().find(|(of, _)| of.eq_ignore_ascii_case(extension));
        if let Some((_, own)) = own {
            return Cow::Borrowed(own);
        }
        match mime_guess::from_ext(extension).first_raw().unwrap_or("application/octet-stream") {
            "text/html" => Cow::Borrowed("text/html; charset=utf-8"),
            "text/css" => Cow::Borrowed("text/css; charset=utf-8"),
            "text/javascript" | "application/javascript" => Cow::Borrowed("text/javascript; charset=utf-8"),
            text if text.starts_with("text/") => Cow::Owned(format!("{text}; charset=utf-8")),
            other => Cow::Borrowed(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_follow_the_extension() {
        let files = Files::without_folder().content_type(".Foo", "x/foo").content_type("png", "x/png");
        let table = [
            ("a.html", "text/html; charset=utf-8"),
            ("dir.png/a.HTM", "text/html; charset=utf-8"),
            ("a.txt", "text/plain; charset=utf-8"),
            ("a.js", "text/javascript; charset=utf-8"),
            ("a.mjs", "text/javascript; charset=utf-8"),
            ("a.json", "application/json"),
            ("a.svg", "image/svg+xml"),
            ("a.wasm", "application/wasm"),
            ("a.tar.gz", "application/gzip"),
            ("a.foo", "x/foo"),
            ("a.FOO", "x/foo"),
            ("a.png", "x/png"),
            ("a.gif", "image/gif"),
            ("Makefile", "application/octet-stream"),
            (".txt", "application/octet-stream"),
            ("a.", "application/octet-stream"),
            ("a.nobody-knows", "application/octet-stream"),
        ];
        for (path, expected) in table {
            assert_eq!(files.type_of(path.as_bytes()), expected, "{path}");
        }
        assert_eq!(files.type_of(b"\xff.\xff"), "application/octet-stream");
    }
}
