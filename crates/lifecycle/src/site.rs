//! Where work was spawned.

use std::fmt;
use std::panic::Location;

/// A place in the source, `file:line:column`: where a piece of work was spawned.
///
/// ```
/// # use exeunt_lifecycle::Site;
/// let site = Site::here();
/// assert!(site.to_string().starts_with(site.file()));
/// assert!(site.line() > 0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Site(&'static Location<'static>);

impl Site {
    /// Where this is called; in a function marked `#[track_caller]`, where that one is called.
    ///
    /// ```
    /// # use exeunt_lifecycle::Site;
    /// let (first, next) = (Site::here().line(), line!());
    /// assert_eq!(first, next);
    /// ```
    #[must_use]
    #[track_caller]
    pub fn here() -> Self {
        Self(Location::caller())
    }

    /// Whether it is the same, at a glance: false for some that are equal.
    pub(crate) fn is(self, other: Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }

    /// The file, as the compiler was given it.
    #[must_use]
    pub fn file(&self) -> &'static str {
        self.0.file()
    }

    /// The line, from 1.
    #[must_use]
    pub fn line(&self) -> u32 {
        self.0.line()
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Site {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
