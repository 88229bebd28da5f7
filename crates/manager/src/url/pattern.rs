//! Patterns with wildcards.

/// Whether the whole text is as the pattern says, and what stood where the pattern has a wildcard: `?` for one
/// character, `*` for any number but no `/`, `#` for any number. Each wildcard takes as little as it can, the first ones
/// first.
///
/// # Examples
///
/// ```
/// use exeunt_manager::url::matches;
///
/// assert_eq!(matches("/api/users/7", "/api/*/?"), Some(vec!["users".into(), "7".into()]));
/// assert_eq!(matches("/api/users/7", "/api/*"), None);
/// assert_eq!(matches("/api/users/7", "/api/#"), Some(vec!["users/7".into()]));
/// ```
#[must_use]
pub fn matches(text: &str, pattern: &str) -> Option<Vec<String>> {
    let mut wildcards: Vec<Wildcard> = Vec::new();
    let mut tried = Tried::new(text, pattern);
    let (mut at, mut next) = (0, 0);
    loop {
        let here = text.get(at..).and_then(|rest| rest.chars().next());
        let wanted = pattern.get(next..).and_then(|rest| rest.chars().next());
        match (wanted, here) {
            (Some(kind @ ('*' | '#')), _) => {
                if tried.first(wildcards.len(), at) {
                    next += 1;
                    wildcards.push(Wildcard { kind, next, from: at, to: at });
                } else {
                    (at, next) = take_more(text, &mut wildcards, &mut tried)?;
                }
            }
            (Some('?'), Some(character)) => {
                next += 1;
                wildcards.push(Wildcard { kind: '?', next, from: at, to: at + character.len_utf8() });
                at += character.len_utf8();
            }
            (Some(wanted), Some(here)) if wanted == here => {
                at += here.len_utf8();
                next += wanted.len_utf8();
            }
            (None, None) => {
                let taken = wildcards.iter().filter_map(|wildcard| text.get(wildcard.from..wildcard.to));
                return Some(taken.map(str::to_owned).collect());
            }
            _ => (at, next) = take_more(text, &mut wildcards, &mut tried)?,
        }
    }
}

/// Lets the latest wildcard that can take one more character do so; answers where text and pattern go on behind it.
fn take_more(text: &str, wildcards: &mut Vec<Wildcard>, tried: &mut Tried) -> Option<(usize, usize)> {
    while let Some(mut wildcard) = wildcards.pop() {
        let more = text.get(wildcard.to..).and_then(|rest| rest.chars().next());
        match (wildcard.kind, more) {
            ('?', _) | ('*', Some('/')) | (_, None) => {}
            (_, Some(more)) => {
                wildcard.to += more.len_utf8();
                if tried.first(wildcards.len(), wildcard.to) {
                    let place = (wildcard.to, wildcard.next);
                    wildcards.push(wildcard);
                    return Some(place);
                }
            }
        }
    }
    None
}

/// A wildcard of the pattern, and what it takes now.
struct Wildcard {
    kind: char,
    /// Where the pattern goes on behind it.
    next: usize,
    from: usize,
    to: usize,
}

/// Up to where each wildcard was tried. What is behind it then matches or not, whatever is before it; and what it can take
/// from there on was tried as well. So nothing is tried twice, and no pattern is slow.
struct Tried {
    /// A bit for each wildcard and place in the text.
    bits: Vec<u64>,
    places: usize,
}

impl Tried {
    fn new(text: &str, pattern: &str) -> Self {
        let places = text.len() + 1;
        let wildcards = pattern.bytes().filter(|byte| matches!(byte, b'?' | b'*' | b'#')).count();
        Self { bits: vec![0; (places * wildcards).div_ceil(64)], places }
    }

    /// Whether the wildcard with that many before it takes up to there for the first time.
    fn first(&mut self, index: usize, to: usize) -> bool {
        let bit = index * self.places + to;
        let Some(word) = self.bits.get_mut(bit / 64) else { return false };
        let before = *word;
        *word |= 1 << (bit % 64);
        *word != before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_texts() {
        type Case = (&'static str, &'static str, Option<&'static [&'static str]>);
        let table: &[Case] = &[
            ("", "", Some(&[])),
            ("a", "", None),
            ("", "a", None),
            ("abc", "abc", Some(&[])),
            ("abc", "ab", None),
            ("abc", "a?c", Some(&["b"])),
            ("ac", "a?c", None),
            ("a/c", "a?c", Some(&["/"])),
            ("aüc", "a?c", Some(&["ü"])),
            ("", "*", Some(&[""])),
            ("", "#", Some(&[""])),
            ("", "?", None),
            ("abc", "*", Some(&["abc"])),
            ("a/c", "*", None),
            ("a/c", "#", Some(&["a/c"])),
            ("/api/v1/users", "/api/*/users", Some(&["v1"])),
            ("/api/v1/x/users", "/api/*/users", None),
            ("/api/v1/x/users", "/api/#/users", Some(&["v1/x"])),
            ("/api//users", "/api/*/users", Some(&[""])),
            ("a.b.c", "*.*", Some(&["a", "b.c"])),
            ("/x/a.js", "#.js", Some(&["/x/a"])),
            ("a/b.c/d.c", "#*.c", Some(&["a/b.c/", "d"])),
            ("a/b/c", "#/*", Some(&["a/b", "c"])),
            ("aab", "*ab", Some(&["a"])),
            ("abcabd", "#abd", Some(&["abc"])),
            ("a/b", "*b", None),
            ("*/*", "**", None),
            ("*/*", "**#*", Some(&["", "", "*/", "*"])),
            ("a/*b", "*?*#b", Some(&["", "a", "", "/*"])),
            ("a/y", "*?*y", Some(&["a", "/", ""])),
            ("ab", "##", Some(&["", "ab"])),
            ("üü", "*ü", Some(&["ü"])),
        ];
        for (text, pattern, captures) in table {
            let expected =
                captures.map(|captures| captures.iter().map(|capture| (*capture).to_owned()).collect());
            assert_eq!(matches(text, pattern), expected, "{text:?} {pattern:?}");
        }
    }

    #[test]
    fn a_hostile_pattern_costs_no_more_than_both_lengths_multiplied() {
        let text = "a".repeat(2_000);
        assert_eq!(matches(&text, &format!("{}b", "a*".repeat(50))), None);
        assert_eq!(matches(&text, &format!("{}b", "#a*?".repeat(25))), None);
    }
}
