//! Sites by number, since a slot has no room for an address.

use crate::site::Site;
use std::cell::Cell;
use std::sync::{Mutex, PoisonError, TryLockError};

/// What a number takes.
pub(super) const BITS: u32 = 12;

/// The greatest number. Sites beyond it share it, and are not named.
pub(super) const LAST: u64 = (1 << BITS) - 1;

static SITES: Mutex<Vec<Site>> = Mutex::new(Vec::new());

/// The site's number: the same for the same site. Takes a lock when this thread asked for another site before; a
/// forked child may have been left it held by a thread that it does not have, and does without the site then.
#[inline]
pub(super) fn number(site: Site, is_forked: impl FnOnce() -> bool) -> u64 {
    thread_local! {
        static LATEST: Cell<Option<(Site, u64)>> = const { Cell::new(None) };
    }
    match LATEST.try_with(Cell::get) {
        Ok(Some((latest, number))) if latest.is(site) => number,
        _ => {
            let Some(number) = look_up(site, is_forked) else { return LAST };
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
fn look_up(site: Site, is_forked: impl FnOnce() -> bool) -> Option<u64> {
    let mut sites = match SITES.try_lock() {
        Ok(sites) => sites,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        // Asked here alone, since it is a system call.
        Err(TryLockError::WouldBlock) if is_forked() => return None,
        Err(TryLockError::WouldBlock) => SITES.lock().unwrap_or_else(PoisonError::into_inner),
    };
    let known = sites.iter().position(|known| *known == site);
    let index = known.unwrap_or_else(|| {
        if sites.len() < LAST as usize {
            sites.push(site);
            sites.len() - 1
        } else {
            LAST as usize
        }
    });
    Some(index as u64)
}

#[cfg(test)]
mod tests {
    use super::{LAST, SITES, number};
    use crate::site::Site;

    #[test]
    fn l17_a_forked_child_does_without_the_site_where_it_would_wait() {
        let here = Site::here();
        let held = SITES.lock().unwrap();
        assert_eq!(number(here, || true), LAST);
        drop(held);
        let known = number(here, || false);
        assert_ne!(known, LAST);
        let _held = SITES.lock().unwrap();
        assert_eq!(number(here, || true), known, "one that this thread knows takes no lock");
    }
}
