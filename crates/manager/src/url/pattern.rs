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
    let mut captures: Vec<(usize, usize)> = Vec::new();
    let (mut star, mut hash): (Option<Wildcard>, Option<Wildcard>) = (None, None);
    let (mut at, mut next) = (0, 0);
    loop {
        let here = text.get(at..).and_then(|rest| rest.chars().next());
        let wanted = pattern.get(next..).and_then(|rest| rest.chars().next());
        match (wanted, here) {
            (Some('?'), Some(character)) => {
                captures.push((at, at + character.len_utf8()));
                at += character.len_utf8();
                next += 1;
            }
            (Some(kind @ ('*' | '#')), _) => {
                let wildcard = Wildcard { next: next + 1, from: at, to: at, captures: captures.len() };
                captures.push((at, at));
                next += 1;
                if kind == '#' {
                    (star, hash) = (None, Some(wildcard));
                } else {
                    star = Some(wildcard);
                }
            }
            (Some(wanted), Some(here)) if wanted == here => {
                at += here.len_utf8();
                next += wanted.len_utf8();
            }
            (None, None) => {
                let taken = captures.into_iter().filter_map(|(from, to)| text.get(from..to));
                return Some(taken.map(str::to_owned).collect());
            }
            // The latest wildcard takes one more. What one before it could take too, it can take as well: only a `*`
            // stuck at a `/` needs the `#` before it.
            _ => {
                let wildcard = match star.as_mut().filter(|star| {
                    !text.get(star.to..).is_none_or(|rest| rest.is_empty() || rest.starts_with('/'))
                }) {
                    Some(star) => star,
                    None => {
                        star = None;
                        hash.as_mut()?
                    }
                };
                wildcard.to += text.get(wildcard.to..)?.chars().next()?.len_utf8();
                captures.truncate(wildcard.captures);
                captures.push((wildcard.from, wildcard.to));
                (at, next) = (wildcard.to, wildcard.next);
            }
        }
    }
}

/// One that may take more.
struct Wildcard {
    /// Where the pattern goes on behind it.
    next: usize,
    /// What it takes.
    from: usize,
    to: usize,
    /// How many captures there are before its own.
    captures: usize,
}
