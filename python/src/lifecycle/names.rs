//! Texts that the engine keeps for ever, since in Rust they are part of the program.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

static KEPT: Mutex<Option<HashSet<&'static str>>> = Mutex::new(None);

/// More kinds of work, and files, than a program has: beyond, somebody makes them up as he goes.
const MOST: usize = 10_000;

/// The same text, for ever; `otherwise` where there are too many.
pub(super) fn kept(text: &str, otherwise: &'static str) -> &'static str {
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let kept = kept.get_or_insert_default();
    if let Some(known) = kept.get(text) {
        return known;
    }
    if kept.len() >= MOST {
        return otherwise;
    }
    let text: &'static str = Box::leak(text.to_owned().into_boxed_str());
    kept.insert(text);
    text
}
