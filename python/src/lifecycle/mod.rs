//! The lifecycle of `exeunt-lifecycle`, for Python.
//!
//! Nothing here takes the GIL by itself: signals, deadlines and phases move on in threads of the engine, and whoever waits
//! in Python is woken by a descriptor.

mod component;
mod config;
mod doorbell;
mod handled;
mod names;
mod owner;
mod report;
pub(crate) mod site;
mod watch;
mod work;

pub(crate) use component::Component;
pub(crate) use handled::is_handled;
pub(crate) use owner::Lifecycle;
pub(crate) use report::{CutWork, Report};
pub(crate) use watch::Watch;
pub(crate) use work::Work;
