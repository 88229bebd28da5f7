//! Variables in queries and in urlencoded forms.

use std::borrow::Cow;

use percent_encoding::percent_decode;

/// The first variable of that name in `a=1&b=2`, decoded; bytes that are not UTF-8 become U+FFFD. One without `=` is
/// empty.
pub(crate) fn variable(text: &[u8], name: &str) -> Option<String> {
    text.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).find_map(|pair| {
        let (key, value) = match memchr::memchr(b'=', pair).and_then(|at| pair.split_at_checked(at)) {
            Some((key, [_, value @ ..])) => (key, value),
            _ => (pair, &[][..]),
        };
        let same = key == name.as_bytes() || is_encoded(key) && *decode(key) == *name.as_bytes();
        same.then(|| String::from_utf8_lossy(&decode(value)).into_owned())
    })
}

/// `+` is a blank, `%41` an `A`; what is no such escape stays.
pub(crate) fn decode(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'+', text).is_none() {
        return percent_decode(text).into();
    }
    let blanks: Vec<u8> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    Cow::Owned(percent_decode(&blanks).collect())
}

fn is_encoded(text: &[u8]) -> bool {
    memchr::memchr2(b'%', b'+', text).is_some()
}
