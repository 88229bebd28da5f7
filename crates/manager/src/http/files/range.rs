//! Which part of a file is asked for (RFC 9110 §14).

/// What a `Range` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it: nothing else is asked for, or nothing that is understood; of several parts, too.
    Whole,
    /// So many bytes from there on; never none.
    Some { from: u64, length: u64 },
    /// What is not there: 416.
    Beyond,
}

/// Reads the value of a `Range`, for a file of that length.
///
/// A server may ignore the field (§14.2): one that is not understood, and one that asks for several parts, whose answer
/// costs more than the whole to send and to take apart.
pub(super) fn part(value: &[u8], length: u64) -> Part {
    let Some((unit, set)) = memchr::memchr(b'=', value).and_then(|at| value.split_at_checked(at)) else {
        return Part::Whole;
    };
    if !unit.eq_ignore_ascii_case(b"bytes") {
        return Part::Whole;
    }
    let mut members =
        crate::http::token::members(set.get(1..).unwrap_or_default()).filter(|one| !one.is_empty());
    let (Some(one), None) = (members.next(), members.next()) else { return Part::Whole };
    let Some((first, last)) = memchr::memchr(b'-', one).and_then(|at| one.split_at_checked(at)) else {
        return Part::Whole;
    };
    let last = last.get(1..).unwrap_or_default();
    match (first.is_empty(), last.is_empty()) {
        (true, true) => Part::Whole,
        (true, false) => number(last).map_or(Part::Whole, |suffix| of_suffix(suffix, length)),
        (false, true) => number(first).map_or(Part::Whole, |first| between(first, u64::MAX, length)),
        (false, false) => match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => between(first, last, length),
            _ => Part::Whole,
        },
    }
}

fn between(first: u64, last: u64, length: u64) -> Part {
    match length.checked_sub(1) {
        Some(end) if first <= end => Part::Some { from: first, length: last.min(end) - first + 1 },
        _ => Part::Beyond,
    }
}

fn of_suffix(suffix: u64, length: u64) -> Part {
    match (suffix.min(length), suffix) {
        (_, 0) => Part::Beyond,
        // All of nothing has no first byte that could be told.
        (0, _) => Part::Whole,
        (tail, _) => Part::Some { from: length - tail, length: tail },
    }
}

/// Digits alone; what is larger than any file is as good as the largest number.
fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |sum, digit| {
        let value = digit.checked_sub(b'0').filter(|value| *value <= 9)?;
        Some(sum.saturating_mul(10).saturating_add(u64::from(value)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn some(from: u64, length: u64) -> Part {
        Part::Some { from, length }
    }

    #[test]
    fn ranges_are_read_as_the_standard_says() {
        let table = [
            ("bytes=0-0", some(0, 1)),
            ("bytes=0-99", some(0, 100)),
            ("bytes=0-1000", some(0, 100)),
            ("bytes=50-", some(50, 50)),
            ("bytes=99-99", some(99, 1)),
            ("bytes=-1", some(99, 1)),
            ("bytes=-100", some(0, 100)),
            ("bytes=-1000", some(0, 100)),
            ("BYTES=1-2", some(1, 2)),
            ("bytes= 1-2 ", some(1, 2)),
            ("bytes=1-2,", some(1, 2)),
            ("bytes=,1-2", some(1, 2)),
            ("bytes=100-", Part::Beyond),
            ("bytes=100-200", Part::Beyond),
            ("bytes=-0", Part::Beyond),
            ("bytes=99999999999999999999999-", Part::Beyond),
            ("bytes=0-99999999999999999999999", some(0, 100)),
            ("bytes=-99999999999999999999999", some(0, 100)),
            ("bytes=0-1,5-6", Part::Whole),
            ("bytes=2-1", Part::Whole),
            ("bytes=-", Part::Whole),
            ("bytes=", Part::Whole),
            ("bytes", Part::Whole),
            ("", Part::Whole),
            ("bytes=a-b", Part::Whole),
            ("bytes=1", Part::Whole),
            ("bytes=1-2-3", Part::Whole),
            ("bytes=+1-2", Part::Whole),
            ("bytes=1 - 2", Part::Whole),
            ("bytes=--1", Part::Whole),
            ("bytes =1-2", Part::Whole),
            ("lines=1-2", Part::Whole),
            ("bytes=0x1-2", Part::Whole),
        ];
        for (value, expected) in table {
            assert_eq!(part(value.as_bytes(), 100), expected, "{value}");
        }
        for (value, expected) in
            [("bytes=0-", Part::Beyond), ("bytes=-5", Part::Whole), ("bytes=-0", Part::Beyond)]
        {
            assert_eq!(part(value.as_bytes(), 0), expected, "{value} of nothing");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_part_of_the_file(value in "(bytes=)?[-0-9, a]{0,30}", length: u64) {
            if let Part::Some { from, length: taken } = part(value.as_bytes(), length) {
                prop_assert!(taken > 0 && from.checked_add(taken).is_some_and(|end| end <= length));
            }
        }

        #[test]
        fn what_is_asked_for_is_what_is_given(first: u64, more: u64, length: u64) {
            let last = first.saturating_add(more);
            let given = part(format!("bytes={first}-{last}").as_bytes(), length);
            let expected = (first < length).then(|| some(first, last.min(length - 1) - first + 1));
            prop_assert_eq!(given, expected.unwrap_or(Part::Beyond));
            let given = part(format!("bytes=-{more}").as_bytes(), length);
            match (more, length) {
                (0, _) => prop_assert_eq!(given, Part::Beyond),
                (_, 0) => prop_assert_eq!(given, Part::Whole),
                _ => prop_assert_eq!(given, some(length.saturating_sub(more), more.min(length))),
            }
        }
    }
}
