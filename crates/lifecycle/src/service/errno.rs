//! The system's number for what went wrong.

use crate::foreign::foreign;
use std::error::Error;
use std::io;

/// The number (errno(3)) of the first error among this one and its sources that the system gave.
pub(crate) fn errno(error: &(dyn Error + 'static)) -> Option<i32> {
    // An error's `source` is its own code.
    let found = foreign(|| {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(number) = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error) {
                return Some(number);
            }
            next = error.source();
        }
        None
    });
    found.ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::errno;
    use std::io::Error;

    #[derive(Debug, thiserror::Error)]
    #[error("no database")]
    struct NoDatabase(#[source] Error);

    #[test]
    fn the_first_that_the_system_gave_counts() {
        assert_eq!(errno(&NoDatabase(Error::from_raw_os_error(111))), Some(111));
        assert_eq!(errno(&Error::from_raw_os_error(2)), Some(2));
        assert_eq!(errno(&NoDatabase(Error::other("of our own"))), None);
    }
}
