//! Lists that may have any number of entries, of which a report keeps so many.

/// Of each list, this much is kept for the report: of what came before the stop, and of what came in it.
pub(crate) const MOST_KEPT: usize = 1_000;

/// The first [`MOST_KEPT`] before the stop and the first [`MOST_KEPT`] in it, and how many there were in all.
#[derive(Clone, Debug)]
pub(crate) struct Kept<T> {
    kept: Vec<T>,
    room: usize,
    count: u64,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { kept: Vec::new(), room: MOST_KEPT, count: 0 }
    }
}

impl<T> Kept<T> {
    pub(crate) fn push(&mut self, entry: T) {
        if self.kept.len() < self.room {
            self.kept.push(entry);
        }
        self.count += 1;
    }

    /// The stop begins: what went before must not leave it without room.
    pub(crate) fn make_room(&mut self) {
        self.room = self.kept.len() + MOST_KEPT;
    }

    pub(crate) fn kept(&self) -> &[T] {
        &self.kept
    }

    /// All that were pushed.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(crate) fn left_out(&self) -> u64 {
        self.count.saturating_sub(crate::report::count(&self.kept))
    }
}

#[cfg(test)]
mod tests {
    use super::{Kept, MOST_KEPT};

    #[test]
    fn the_first_are_kept_before_the_stop_and_in_it_and_all_are_counted() {
        let mut numbers = Kept::default();
        assert!(numbers.is_empty());
        (0..MOST_KEPT).for_each(|number| numbers.push(number));
        assert_eq!((numbers.kept().len(), numbers.left_out()), (MOST_KEPT, 0));
        numbers.push(1_001);
        assert_eq!((numbers.kept().last(), numbers.left_out()), (Some(&(MOST_KEPT - 1)), 1));
        numbers.make_room();
        (0..=MOST_KEPT).for_each(|number| numbers.push(number));
        assert_eq!((numbers.kept().len(), numbers.kept().last()), (2 * MOST_KEPT, Some(&(MOST_KEPT - 1))));
        assert_eq!((numbers.count(), numbers.left_out()), (2_002, 2));
    }
}
