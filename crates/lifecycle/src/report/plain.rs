//! Names and errors as people may see them.

use std::fmt::{self, Write as _};

/// A text from elsewhere (a request's path, somebody's error) in one line: what would begin another, or move a
/// terminal's cursor, is escaped, so that no name can pass for a line of the report.
pub(crate) struct Plain<'a>(pub(crate) &'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            if character.is_control() || matches!(character, '\u{2028}' | '\u{2029}') {
                write!(f, "{}", character.escape_default())?;
            } else {
                f.write_char(character)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Plain;

    #[test]
    fn what_controls_is_escaped_and_the_rest_is_as_it_was() {
        let escaped = |text| Plain(text).to_string();
        assert_eq!(escaped("mail\n  exit status 0"), r"mail\n  exit status 0");
        assert_eq!(escaped("\u{1b}[2J\0\u{9b}\u{2028}"), r"\u{1b}[2J\u{0}\u{9b}\u{2028}");
        assert_eq!(escaped("GET /ä?q=\"1\"\\2 日本"), "GET /ä?q=\"1\"\\2 日本");
    }
}
