//! Variables in queries and in urlencoded forms.

use std::borrow::Cow;

use percent_encoding::percent_decode;

/// The first variable of that name in `a=1&b=2`, decoded; bytes that are not UTF-8 become U+FFFD. One without `=` is
/// empty.
///
/// # Examples
///
/// ```
/// use exeunt_manager::http::variable;
///
/// assert_eq!(variable(b"name=J%C3%BCrgen+A.&age=", "name").as_deref(), Some("Jürgen A."));
/// assert_eq!(variable(b"name=J%C3%BCrgen+A.&age=", "age").as_deref(), Some(""));
/// assert_eq!(variable(b"name=J%C3%BCrgen+A.&age=", "size"), None);
/// ```
#[must_use]
pub fn variable(text: &[u8], name: &str) -> Option<String> {
    pairs(text).find_map(|(key, value)| {
        let same = key.len() >= name.len() && *decode(key) == *name.as_bytes();
        same.then(|| string(value))
    })
}

/// All variables in `a=1&b=2`, by name and value, in order, decoded as by [`variable`].
///
/// # Examples
///
/// ```
/// let variables: Vec<_> = exeunt_manager::http::variables(b"a=1&b=x+y&a=").collect();
/// assert_eq!(variables, [("a", "1"), ("b", "x y"), ("a", "")].map(|(a, b)| (a.to_owned(), b.to_owned())));
/// ```
pub fn variables(text: &[u8]) -> impl Iterator<Item = (String, String)> {
    pairs(text).map(|(key, value)| (string(key), string(value)))
}

fn pairs(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    text.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).map(|pair| {
        match memchr::memchr(b'=', pair).and_then(|at| pair.split_at_checked(at)) {
            Some((key, [_, value @ ..])) => (key, value),
            _ => (pair, &[][..]),
        }
    })
}

fn string(text: &[u8]) -> String {
    String::from_utf8_lossy(&decode(text)).into_owned()
}

/// `+` is a blank, `%41` an `A`; what is no such escape stays.
fn decode(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'+', text).is_none() {
        return percent_decode(text).into();
    }
    let blanks: Vec<u8> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    Cow::Owned(percent_decode(&blanks).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_found_and_decoded() {
        let table = [
            ("a=1&b=2", "b", Some("2")),
            ("a=1&a=2", "a", Some("1")),
            ("a=1&b=2", "c", None),
            ("ab=1", "a", None),
            ("a=1", "ab", None),
            ("a=1", "", None),
            ("=1", "", Some("1")),
            ("", "a", None),
            ("", "", None),
            ("&&a=1", "a", Some("1")),
            ("a", "a", Some("")),
            ("a=", "a", Some("")),
            ("a==b=c", "a", Some("=b=c")),
            ("a=x+y%20z%2B", "a", Some("x y z+")),
            ("a+b%63=1", "a bc", Some("1")),
            ("a+b=1", "a+b", None),
            ("a%26b=c%26d", "a&b", Some("c&d")),
            ("a=%zz%4", "a", Some("%zz%4")),
            ("a=%C3%BC", "a", Some("ü")),
            ("a=%ff", "a", Some("\u{fffd}")),
            ("A=1", "a", None),
        ];
        for (text, name, value) in table {
            assert_eq!(variable(text.as_bytes(), name).as_deref(), value, "{text:?} {name:?}");
        }
        let long = format!("a=1&long={}&z=2", "x%41".repeat(50_000));
        assert_eq!(variable(long.as_bytes(), "long"), Some("xA".repeat(50_000)));
    }
}
