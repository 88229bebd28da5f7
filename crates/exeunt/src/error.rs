//! The error of a start-up.

/// Whatever ends a start-up early: any error, so that `?` works on all of them, a program's own included.
///
/// Whether the start-up failed is not told by the error but by whether a stop was requested before it (L3): the
/// error of a component that was told to give up may travel through any number of a program's own errors.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
