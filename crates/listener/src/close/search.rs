//! Finding out whether a socket is ours alone.

use std::time::Duration;

use super::report::Ownership;
use crate::{lifeline::Line, listener::Listener, system::Owners};

/// The question whose a socket is, from the cheapest way of knowing to the dearest.
#[derive(Debug)]
pub(crate) struct Search {
    owners: Owners,
}

/// What is known so far.
#[derive(Debug)]
pub(crate) enum Whose {
    Known(Ownership),
    /// Ask again after this pause.
    Later(Duration),
}

/// How long a child may be between fork and exec before it counts as one that stays.
const EXEC_GRACE: Duration = Duration::from_millis(20);
const SLICE: Duration = Duration::from_millis(5);

impl Search {
    pub(crate) fn of(listener: &Listener) -> Self {
        Self { owners: Owners::of(&listener.socket) }
    }

    /// Goes on with the search, which has taken `so_far` and may take `longest`.
    pub(crate) fn go_on(&mut self, listener: &mut Listener, so_far: Duration, longest: Duration) -> Whose {
        let Some(lifeline) = &mut listener.lifeline else { return Whose::Known(Ownership::Adopted) };
        let line = lifeline.listen();
        if line == Line::Inherited {
            return Whose::Known(Ownership::Inherited);
        }
        if *listener.passed_on.get_mut() {
            return Whose::Known(Ownership::PassedOn);
        }
        if line == Line::Held {
            return if so_far < EXEC_GRACE {
                Whose::Later(Duration::from_millis(1))
            } else {
                Whose::Known(Ownership::Forked)
            };
        }
        match self.owners.search(SLICE.min(longest)) {
            Some(Ownership::Sole) if listener.socket.reuse_port().unwrap_or(false) => {
                Whose::Known(Ownership::PortShared)
            }
            Some(ownership) => Whose::Known(ownership),
            None if so_far < longest => Whose::Later(Duration::ZERO),
            None => Whose::Known(Ownership::Unknown("the search took too long".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Search, Whose};
    use crate::{Listener, Ownership};

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    fn held() -> (Listener, std::io::PipeWriter, Search) {
        let listener = Listener::bind(&"127.0.0.1:0".parse().unwrap()).unwrap();
        let child = listener.lifeline.as_ref().unwrap().copy();
        let search = Search::of(&listener);
        (listener, child, search)
    }

    #[test]
    fn a_child_that_executes_another_program_in_time_does_not_count() {
        let (mut listener, child, mut search) = held();
        assert!(matches!(search.go_on(&mut listener, ms(0), ms(500)), Whose::Later(pause) if pause == ms(1)));
        assert!(matches!(search.go_on(&mut listener, ms(19), ms(500)), Whose::Later(_)));
        drop(child);
        assert!(!matches!(search.go_on(&mut listener, ms(20), ms(500)), Whose::Known(Ownership::Forked)));
    }

    #[test]
    fn a_child_that_stays_does() {
        let (mut listener, _child, mut search) = held();
        assert!(matches!(search.go_on(&mut listener, ms(0), ms(500)), Whose::Later(_)));
        assert!(matches!(search.go_on(&mut listener, ms(20), ms(500)), Whose::Known(Ownership::Forked)));
    }
}
