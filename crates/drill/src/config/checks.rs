use super::{Drill, contains_port};
use crate::error::Error;
use crate::observe::CROSSED_SILENCE;
use crate::scenario::Scenario;
use std::time::Duration;

/// Beyond it the clock's arithmetic would be the next thing to fail.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

impl Drill {
    /// Refuses what makes no sense; answers the scenarios to hold, in order.
    pub(super) fn checked(&self) -> Result<Vec<Scenario>, Error> {
        let refuse = |message: String, hint: &str| Err(Error::config(message, hint));
        if self.command.first().is_none_or(|program| program.is_empty()) {
            return refuse("the command is empty".to_owned(), "name the program to drill");
        }
        if self.port == Some(0) {
            return refuse(
                "port 0 is no port to listen on".to_owned(),
                "leave the port out to have a free one chosen, and write {port} in the command",
            );
        }
        if self.port.is_none() && !self.command.iter().any(|arg| contains_port(arg)) {
            return refuse(
                "neither a port is given nor does the command say {port}".to_owned(),
                "say where the command listens (--port 8000), or write {port} in it to have a free one put in",
            );
        }
        for path in std::iter::once(&self.path).chain(self.paths.values()) {
            if !path.starts_with('/') {
                return refuse(
                    format!("the path {path:?} does not begin with a slash"),
                    "write it as in /index",
                );
            }
            if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
                return refuse(
                    format!("the path {path:?} holds what no request line can carry"),
                    "percent-encode blanks, controls and everything beyond ASCII",
                );
            }
        }
        // No idle connection is a way to be stopped, too: the time that the server takes for nothing.
        for (what, number) in [
            ("connections", self.connections),
            ("rounds", self.rounds.unwrap_or(1)),
            ("pipelined requests", self.pipeline),
        ] {
            if number == 0 {
                return refuse(format!("0 {what} prove nothing"), "give at least 1, or leave the option out");
            }
        }
        for (what, number, most) in [
            ("connections", self.connections, 20_000),
            ("idle connections", self.idle_connections, 20_000),
            ("pipelined requests", self.pipeline, 100),
        ] {
            if number > most {
                return refuse(
                    format!("{number} {what} are too many"),
                    &format!("{most} is the most: one client address has about 28,000 ports"),
                );
            }
        }
        if self.flight >= CROSSED_SILENCE {
            return refuse(
                format!("a flight of {} ms makes every request look crossed", self.flight.as_millis()),
                "stay below 250 ms: from that silence on, a loss that meets a FIN is excused",
            );
        }
        for (what, deadline) in [("deadline", self.deadline), ("start deadline", self.start_deadline)] {
            if deadline.is_zero() {
                return refuse(
                    format!("a {what} of 0 leaves no time"),
                    "give at least some milliseconds, as in 10s",
                );
            }
        }
        for (what, deadline) in [("deadline", self.deadline), ("start deadline", self.start_deadline)] {
            if deadline > LONGEST {
                return refuse(
                    format!("a {what} of {} s is no deadline", deadline.as_secs()),
                    "give a day at most",
                );
            }
        }
        self.chosen()
    }

    fn chosen(&self) -> Result<Vec<Scenario>, Error> {
        let (chosen, left_out): (Vec<_>, Vec<_>) = self
            .wanted()
            .partition(|scenario| scenario.needs().is_none() || self.paths.contains_key(scenario));
        match left_out.first().and_then(|scenario| Some((scenario, scenario.needs()?))) {
            Some((scenario, (what, option))) if chosen.is_empty() => Err(Error::config(
                format!("the scenario {scenario} needs {what}"),
                format!("name one ({option})"),
            )),
            _ => Ok(chosen),
        }
    }

    /// Every scenario that was asked for, in order, whether it can be held or not.
    pub(crate) fn wanted(&self) -> impl Iterator<Item = Scenario> + '_ {
        let wanted = |scenario: &Scenario| self.scenarios.is_empty() || self.scenarios.contains(scenario);
        Scenario::ALL.into_iter().filter(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::super::with_port;
    use super::*;
    use crate::run::Stop;

    fn drill() -> Drill {
        Drill::new("server").arg("{port}")
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_a_hint() {
        for (drill, word) in [
            (Drill::new(""), "empty"),
            (Drill::new("server"), "{port}"),
            (drill().port(0), "port 0"),
            (drill().path("index"), "slash"),
            (drill().path("/a b"), "request line"),
            (drill().slow_path("slow"), "slash"),
            (drill().connections(0), "0 connections"),
            (drill().connections(30_000), "30000 connections"),
            (drill().rounds(0), "0 rounds"),
            (drill().pipeline(0), "0 pipelined"),
            (drill().flight(Duration::from_millis(250)), "250 ms"),
            (drill().deadline(Duration::ZERO), "deadline of 0"),
            (drill().start_deadline(Duration::ZERO), "start deadline of 0"),
            (drill().deadline(Duration::MAX), "no deadline"),
            (drill().start_deadline(Duration::MAX), "start deadline"),
            (drill().scenario(Scenario::Slow), "slow"),
            (drill().scenario(Scenario::Websocket), "each message"),
            (drill().ws_path("chat"), "slash"),
        ] {
            let error = drill.run(&mut (), &Stop::new()).unwrap_err();
            assert!(matches!(error, Error::Config { .. }), "{error:?}");
            assert!(error.to_string().contains(word), "{error} should name {word}");
            assert!(error.hint().is_some_and(|hint| !hint.is_empty()));
        }
    }

    #[test]
    fn scenarios_are_chosen_by_name_or_by_what_is_known() {
        use Scenario::{Flight, Fresh, HalfSent, Http2, Idle, Keepalive, Slow};
        let always = [Keepalive, Fresh, Flight, Http2, HalfSent, Idle];
        assert_eq!(drill().checked().unwrap(), always);
        assert_eq!(drill().upload_path("/u").flight_path("/f").checked().unwrap(), always);
        let with_slow = [Keepalive, Fresh, Flight, Http2, Slow, HalfSent, Idle];
        assert_eq!(drill().slow_path("/s").checked().unwrap(), with_slow);
        let all = drill().slow_path("/s").large_path("/l").ws_path("/w").sse_path("/e");
        assert_eq!(all.checked().unwrap(), Scenario::ALL);
        assert_eq!(drill().scenario(Idle).scenario(Fresh).checked().unwrap(), [Fresh, Idle]);
        assert_eq!(drill().scenario(Slow).scenario(Fresh).checked().unwrap(), [Fresh]);
    }

    #[test]
    fn the_port_is_put_in_everywhere() {
        assert_eq!(with_port(&"a{port}b{port}".into(), 80), "a80b80");
    }
}
