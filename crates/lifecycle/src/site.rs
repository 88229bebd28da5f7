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
pub struct Site(Place);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Place {
    Here(&'static Location<'static>),
    Elsewhere { file: &'static str, line: u32 },
}

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
        Self(Place::Here(Location::caller()))
    }

    /// A line of a program that is written in another language and has this one called; it is shown without a column.
    ///
    /// ```
    /// # use exeunt_lifecycle::Site;
    /// assert_eq!(Site::elsewhere("server.py", 7).to_string(), "server.py:7");
    /// ```
    #[must_use]
    pub const fn elsewhere(file: &'static str, line: u32) -> Self {
        Self(Place::Elsewhere { file, line })
    }

    /// Whether it is the same, at a glance: false for some that are equal.
    pub(crate) fn is(self, other: Self) -> bool {
        match (self.0, other.0) {
            (Place::Here(one), Place::Here(other)) => std::ptr::eq(one, other),
            (one, other) => one == other,
        }
    }

    /// The file, as the compiler was given it.
    #[must_use]
    pub fn file(&self) -> &'static str {
        match self.0 {
            Place::Here(location) => location.file(),
            Place::Elsewhere { file, .. } => file,
        }
    }

    /// The line, from 1.
    #[must_use]
    pub fn line(&self) -> u32 {
        match self.0 {
            Place::Here(location) => location.line(),
            Place::Elsewhere { line, .. } => line,
        }
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Place::Here(location) => location.fmt(f),
            Place::Elsewhere { file, line } => write!(f, "{file}:{line}"),
        }
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Site {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
