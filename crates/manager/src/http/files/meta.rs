//! What a file's answer is compared by: its length and its times.

use rustix::fs::Stat;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Of one state of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Meta {
    /// In bytes.
    pub(super) length: u64,
    /// An entity tag (RFC 9110 §8.8.3): of the time of the last change, to the nanosecond, and of the length. Not of the inode,
    /// so that copies which kept their times have the same.
    pub(super) etag: String,
    /// To the second. None where an HTTP date cannot say it, or may not (§8.8.2.1): a time to come.
    pub(super) modified: Option<SystemTime>,
}

impl Meta {
    pub(super) fn new(stat: &Stat, now: SystemTime) -> Self {
        let length = u64::try_from(stat.st_size).unwrap_or_default();
        #[allow(clippy::unnecessary_cast, reason = "the fields' types differ from system to system")]
        let (seconds, nanoseconds) = (stat.st_mtime as i64, stat.st_mtime_nsec as u64);
        Self::of(length, seconds, nanoseconds, now)
    }

    pub(super) fn of(length: u64, seconds: i64, nanoseconds: u64, now: SystemTime) -> Self {
        let since = u64::try_from(seconds).ok().map(Duration::from_secs);
        let modified = since.and_then(|since| UNIX_EPOCH.checked_add(since)).filter(|at| *at <= now);
        Self { length, etag: format!("\"{seconds:x}.{nanoseconds:x}-{length:x}\""), modified }
    }

    /// `Last-Modified`.
    pub(super) fn date(&self) -> Option<String> {
        self.modified.map(httpdate::fmt_http_date)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_no_date_can_tell_are_not_told() {
        let now = UNIX_EPOCH + Duration::from_secs(1000);
        let date = |seconds| Meta::of(1, seconds, 5, now).date();
        assert_eq!(date(0).as_deref(), Some("Thu, 01 Jan 1970 00:00:00 GMT"));
        assert_eq!(date(1000).as_deref(), Some("Thu, 01 Jan 1970 00:16:40 GMT"));
        for none in [-1, i64::MIN, 1001, i64::MAX] {
            assert_eq!(date(none), None, "{none}");
        }
    }

    #[test]
    fn tags_tell_states_apart() {
        let tag = |length, seconds, nanoseconds| Meta::of(length, seconds, nanoseconds, UNIX_EPOCH).etag;
        assert_eq!(tag(255, 16, 1), "\"10.1-ff\"");
        let tags = [tag(1, 2, 3), tag(2, 2, 3), tag(1, 3, 3), tag(1, 2, 4), tag(1, -2, 3)];
        for (at, one) in tags.iter().enumerate() {
            assert!(!tags[at + 1..].contains(one), "{one}");
            assert!(one.starts_with('"') && one.ends_with('"'));
        }
    }
}
