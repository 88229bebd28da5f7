//! How many connections may be open, and how long others wait for one of them to end (rule D9).

use crate::alarm::now;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep_until;

/// So many are turned away at a time: each is a task for up to a few seconds, beyond the limit.
const AT_A_TIME: usize = 64;

/// The places for connections of one server, on all its listeners.
#[derive(Debug)]
pub(crate) struct Room {
    places: Arc<Semaphore>,
    doors: Arc<Semaphore>,
    /// Since when somebody has waited for a place without anybody getting one.
    full: Mutex<Option<Instant>>,
    patience: Duration,
}

/// A place for a connection, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
}

/// The right to turn somebody away, until it is dropped.
#[derive(Debug)]
pub(crate) struct Door {
    _permit: OwnedSemaphorePermit,
}

/// What became of a wait.
#[derive(Debug)]
pub(crate) enum Waited {
    Admitted(Place),
    TurnedAway(Door),
}

impl Room {
    /// For so many connections; others wait so long.
    pub(crate) fn new(connections: usize, patience: Duration) -> Self {
        let semaphore = |count: usize| Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)));
        Self { places: semaphore(connections), doors: semaphore(AT_A_TIME), full: Mutex::new(None), patience }
    }

    /// A place, if there is one now.
    pub(crate) fn place(&self) -> Option<Place> {
        let permit = Arc::clone(&self.places).try_acquire_owned().ok()?;
        Some(self.found(permit))
    }

    /// Waits for a place; for as long as its clients have patience, from the moment in which nobody got one any more. Behind
    /// that nobody waits who need not: there is room, or the door.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped has taken nothing.
    pub(crate) async fn wait(&self) -> Waited {
        let until = {
            let mut full = self.full.lock().unwrap_or_else(PoisonError::into_inner);
            full.get_or_insert_with(now).checked_add(self.patience)
        };
        let door = async {
            match until {
                Some(until) => sleep_until(until.into()).await,
                None => std::future::pending().await,
            }
            self.door().await
        };
        tokio::select! {
            biased;
            place = permit(&self.places) => Waited::Admitted(self.found(place)),
            door = door => Waited::TurnedAway(door),
        }
    }

    /// Waits until somebody more can be turned away.
    pub(crate) async fn door(&self) -> Door {
        Door { _permit: permit(&self.doors).await }
    }

    fn found(&self, permit: OwnedSemaphorePermit) -> Place {
        *self.full.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Place { _permit: permit }
    }
}

async fn permit(semaphore: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    match Arc::clone(semaphore).acquire_owned().await {
        Ok(permit) => permit,
        // Nobody closes it.
        Err(_) => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    const PATIENCE: Duration = Duration::from_secs(5);

    fn is_admitted(waited: &Waited) -> bool {
        matches!(waited, Waited::Admitted(_))
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_when_it_is_full_waits_for_a_place_or_the_door() {
        let room = Room::new(1, PATIENCE);
        let place = room.place().unwrap();
        assert!(room.place().is_none());
        let start = Instant::now();
        assert!(!is_admitted(&room.wait().await));
        assert_eq!(start.elapsed(), PATIENCE);
        assert!(!is_admitted(&room.wait().await));
        assert_eq!(start.elapsed(), PATIENCE, "it has been full for so long: the next need not wait");
        drop(place);
        let second = room.place().unwrap();
        let start = Instant::now();
        assert!(!is_admitted(&room.wait().await));
        assert_eq!(start.elapsed(), PATIENCE, "somebody got a place: the clock begins anew");
        drop(second);
        let patient = Room::new(0, Duration::MAX);
        assert!(tokio::time::timeout(Duration::from_secs(1000), patient.wait()).await.is_err(), "for ever");
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_that_gets_free_is_taken_by_who_waits() {
        let room = Room::new(1, PATIENCE);
        let place = room.place().unwrap();
        let leaves = async {
            tokio::time::sleep(Duration::from_secs(4)).await;
            drop(place);
        };
        let start = Instant::now();
        let (waited, ()) = tokio::join!(room.wait(), leaves);
        assert!(is_admitted(&waited));
        assert_eq!(start.elapsed().as_secs(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_few_are_turned_away_at_a_time() {
        let room = Room::new(0, Duration::ZERO);
        let mut doors = Vec::new();
        for _ in 0..AT_A_TIME {
            doors.push(room.wait().await);
        }
        assert!(tokio::time::timeout(Duration::from_secs(1), room.wait()).await.is_err());
        doors.pop();
        assert!(!is_admitted(&room.wait().await));
    }
}
