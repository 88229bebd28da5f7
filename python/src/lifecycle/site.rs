//! Where in the program something was asked for.

use super::names::kept;
use exeunt_lifecycle::Site;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

/// How many frames of ours may lie between the program and the native module.
const OURS: usize = 8;

/// The innermost line that is not of this package; nowhere, where there is none.
pub(crate) fn of_caller(py: Python<'_>) -> Site {
    found(py).unwrap_or(Site::elsewhere("<unknown>", 0))
}

fn found(py: Python<'_>) -> Option<Site> {
    static FRAME: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let mut frame = FRAME.import(py, "sys", "_getframe").ok()?.call0().ok()?;
    for _ in 0..OURS {
        let module: Option<String> =
            frame.getattr("f_globals").ok()?.get_item("__name__").ok().and_then(|name| name.extract().ok());
        let is_ours = module.is_some_and(|name| name == "exeunt" || name.starts_with("exeunt."));
        if !is_ours {
            break;
        }
        match frame.getattr("f_back") {
            Ok(back) if !back.is_none() => frame = back,
            _ => break,
        }
    }
    let line = frame.getattr("f_lineno").ok()?.extract().unwrap_or(0);
    let file: String = frame.getattr("f_code").ok()?.getattr("co_filename").ok()?.extract().ok()?;
    Some(Site::elsewhere(kept(&file, "<unknown>"), line))
}
