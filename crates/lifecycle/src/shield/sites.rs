//! Sites by number, since a slot has no room for an address.

use crate::site::Site;
use std::cell::Cell;
use std::sync::{Mutex, PoisonError};

/// What a number takes.
pub(super) const BITS: u32 = 12;

/// The greatest number. Sites beyond it share it, and are not named.
pub(super) const LAST: u64 = (1 << BITS) - 1;

static SITES: Mutex<Vec<Site>> = Mutex::new(Vec::new());

/// The site's number: the same for the same site. Takes a lock when this thread asked for another site before.
#[inline]
pub(super) fn number(site: Site) -> u64 {
    thread_local! {
        static LATEST: Cell<Option<(Site, u64)>> = const { Cell::new(None) };
    }
    match LATEST.try_with(Cell::get) {
        Ok(Some((latest, number))) if latest.is(site) => number,
        _ => {
            let number = look_up(site);
            _ = LATEST.try_with(|latest| latest.set(Some((site, number))));
            number
        }
    }
}

pub(super) fn site(number: u64) -> Option<Site> {
    let sites = SITES.lock().unwrap_or_else(PoisonError::into_inner);
    usize::try_from(number).ok().and_then(|index| sites.get(index)).copied()
}

#[cold]
fn look_up(site: Site) -> u64 {
    let mut sites = SITES.lock().unwrap_or_else(PoisonError::into_inner);
    let known = sites.iter().position(|known| *known == site);
    let index = known.unwrap_or_else(|| {
        if sites.len() < LAST as usize {
            sites.push(site);
            sites.len() - 1
        } else {
            LAST as usize
        }
    });
    index as u64
}
