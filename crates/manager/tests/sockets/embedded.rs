//! A manager that another event loop turns.

use crate::support::{GET, LIMIT, Log, address, asking, client, hello, name, poll_until, to_end};
use exeunt_lifecycle::{Config, Lifecycle, Phase};
use exeunt_manager::{Connection, DrainReport, Event, Limits, Manager, Schedule};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// That other loop: it waits for the descriptor, or until something is due.
struct Host {
    manager: Manager,
    poll: Poll,
    events: Events,
    deadline: Option<Instant>,
}

impl Host {
    fn of(mut manager: Manager) -> Self {
        let poll = Poll::new().unwrap();
        let watched = manager.raw_fd().unwrap();
        poll.registry().register(&mut SourceFd(&watched), Token(0), Interest::READABLE).unwrap();
        Self { manager, poll, events: Events::with_capacity(4), deadline: None }
    }

    /// Waits once, and polls if there is a reason; whether there was.
    fn turn(&mut self, most: Duration) -> (bool, Option<DrainReport>) {
        let due = self.manager.next_due().unwrap();
        let left = due.map(|due| due.saturating_duration_since(Instant::now()));
        self.poll.poll(&mut self.events, Some(left.map_or(most, |left| left.min(most)))).unwrap();
        let due = due.is_some_and(|due| due <= Instant::now());
        if self.events.is_empty() && !due {
            return (false, None);
        }
        let report = match self.deadline {
            Some(deadline) => self.manager.drain_poll(deadline, Duration::ZERO).unwrap(),
            None => {
                self.manager.poll(Duration::ZERO).unwrap();
                None
            }
        };
        (true, report)
    }

    fn until(&mut self, what: &str, mut is_so: impl FnMut() -> bool) {
        let began = Instant::now();
        while !is_so() {
            assert!(began.elapsed() < LIMIT, "{what}: not in {LIMIT:?}");
            self.turn(LIMIT);
        }
    }

    fn drain(&mut self, deadline: Instant) -> DrainReport {
        self.deadline = Some(deadline);
        let began = Instant::now();
        // The first step is due at once, by whoever wants the drain.
        let mut report = self.manager.drain_poll(deadline, Duration::ZERO).unwrap();
        while report.is_none() {
            assert!(began.elapsed() < LIMIT, "the drain does not end");
            report = self.turn(LIMIT).1;
        }
        report.unwrap()
    }
}

#[test]
fn requests_are_answered_and_nothing_turns_in_a_circle() {
    let log = Log::default();
    let told = log.clone();
    let manager = Manager::new(move |conn: &Connection, event: Event<'_>| {
        told.push(name(&event));
        hello(conn, event);
    });
    let listener = manager.listen("http://127.0.0.1:0").unwrap();
    let mut host = Host::of(manager);
    host.turn(Duration::ZERO);
    let client = asking(address(&listener), crate::support::LAST);
    host.until("the answer", || log.has("write"));
    host.until("the end", || log.has("close") || log.has("read"));
    let mut idle = 0;
    while host.turn(Duration::from_millis(20)).0 {
        idle += 1;
        assert!(idle < 100, "nothing happens, and it wants to be polled");
    }
    assert!(to_end(client).ends_with("hello"));
}

#[test]
fn what_others_write_down_behind_the_look_makes_it_readable() {
    let log = Log::default();
    let told = log.clone();
    let manager = Manager::new(move |_: &Connection, event: Event<'_>| told.push(name(&event)));
    let listener = manager.listen("tcp://127.0.0.1:0").unwrap();
    let handle = manager.handle();
    let mut host = Host::of(manager);
    for round in 0..100 {
        let (handle, id) = (handle.clone(), listener.id());
        let thread = std::thread::spawn(move || assert!(handle.wakeup(id, format!("{round}"))));
        host.until("the wakeup", || log.has(&format!("wakeup {round}")));
        thread.join().unwrap();
    }
}

#[test]
fn timers_are_due_when_they_are_and_a_sooner_one_makes_it_readable() {
    let manager = Manager::new(hello);
    let listener = manager.listen("tcp://127.0.0.1:0").unwrap();
    let handle = manager.handle();
    let mut host = Host::of(manager);
    while host.turn(Duration::ZERO).0 {}
    assert_eq!(host.manager.next_due().unwrap(), None);
    let began = Instant::now();
    let later = host.manager.timer(Schedule::once(LIMIT), |_| ()).unwrap();
    assert!(host.manager.next_due().unwrap().is_some_and(|due| due > began + LIMIT / 2));
    let (fired, has_fired) = channel();
    let sooner = Schedule::once(Duration::from_millis(5));
    let thread =
        std::thread::spawn(move || handle.timer(sooner, move |_| fired.send(()).unwrap()).map(|_| ()));
    host.until("the timer", || has_fired.try_recv().is_ok());
    assert!(began.elapsed() < LIMIT);
    thread.join().unwrap().unwrap();
    later.cancel();
    drop(listener);
}

#[test]
fn what_is_left_to_be_done_is_due_at_once() {
    let mut manager = Manager::new(|_: &Connection, _: Event<'_>| ());
    let listener = manager.listen("tcp://127.0.0.1:0").unwrap();
    let now = Instant::now();
    assert!(
        manager.next_due().unwrap().is_some_and(|due| due <= now + LIMIT / 2),
        "it was not looked at yet"
    );
    manager.poll(Duration::ZERO).unwrap();
    for index in 0..3000 {
        listener.wakeup(format!("{index}")).unwrap();
    }
    let mut passes = 0;
    while manager.next_due().unwrap().is_some() {
        manager.poll(Duration::ZERO).unwrap();
        passes += 1;
    }
    assert_eq!(passes, 3, "1,024 in a pass (M10)");
    let clients: Vec<_> = (0..100).map(|_| client(address(&listener))).collect();
    let began = Instant::now();
    manager.poll(Duration::ZERO).unwrap();
    while manager.next_due().unwrap().is_some_and(|due| due <= Instant::now()) {
        manager.poll(Duration::ZERO).unwrap();
    }
    assert_eq!(manager.connections().len(), 1 + clients.len(), "64 in a turn (M10)");
    assert!(began.elapsed() < LIMIT);
}

#[test]
fn a_drain_in_steps_answers_what_is_there_and_closes_what_is_silent() {
    let manager = Manager::new(hello);
    let listener = manager.listen("http://127.0.0.1:0").unwrap();
    let mut host = Host::of(manager);
    let silent = client(address(&listener));
    let asks = asking(address(&listener), GET);
    let began = Instant::now();
    let report = host.drain(began + LIMIT);
    assert!(report.is_clean() && report.listeners.len() == 1 && report.duration < LIMIT / 2, "{report}");
    assert!(to_end(asks).contains("Connection: close\r\n") && to_end(silent).is_empty());
    // A second one has nothing to do.
    assert!(host.manager.drain_poll(began + LIMIT, Duration::ZERO).unwrap().unwrap().listeners.is_empty());
}

#[test]
fn the_deadline_of_a_drain_in_steps_is_due_and_cuts() {
    let manager = Manager::with_limits(Limits::default(), |_: &Connection, _: Event<'_>| ());
    let listener = manager.listen("http://127.0.0.1:0").unwrap();
    let mut host = Host::of(manager);
    let asks = asking(address(&listener), "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    let handle = host.manager.handle();
    host.until("the client", || handle.connections().len() == 2);
    let deadline = Instant::now() + Duration::from_millis(300);
    let report = host.drain(deadline);
    assert!(Instant::now() >= deadline, "not before");
    assert_eq!(report.cut.iter().map(|cut| cut.name.as_str()).collect::<Vec<_>>(), ["GET /slow"]);
    assert!(to_end(asks).starts_with("HTTP/1.1 503 "));
}

#[test]
fn a_deadline_may_come_sooner_than_it_was() {
    let manager = Manager::new(|_: &Connection, _: Event<'_>| ());
    let listener = manager.listen("http://127.0.0.1:0").unwrap();
    let mut host = Host::of(manager);
    let asks = asking(address(&listener), GET);
    let handle = host.manager.handle();
    host.until("the client", || handle.connections().len() == 2);
    let began = Instant::now();
    assert!(host.manager.drain_poll(began + LIMIT, Duration::ZERO).unwrap().is_none());
    assert_eq!(host.drain(began).cut_count, 1);
    assert!(began.elapsed() < LIMIT / 2 && to_end(asks).starts_with("HTTP/1.1 503 "));
}

#[test]
fn a_drain_may_be_ended_at_once_and_tells_what_was_cut() {
    for cut_before in [false, true] {
        let mut manager = Manager::new(|_: &Connection, _: Event<'_>| ());
        let listener = manager.listen("http://127.0.0.1:0").unwrap();
        let asks = asking(address(&listener), GET);
        let handle = manager.handle();
        poll_until(&mut manager, "the client", || handle.connections().len() == 2);
        let now = Instant::now();
        if cut_before {
            // Its 503 is sent, and its end awaited.
            assert!(manager.drain_poll(now, Duration::ZERO).unwrap().is_none());
        }
        let report = manager.drain_now().unwrap();
        let requests: Vec<_> = report.cut.iter().filter(|cut| cut.kind == "request").collect();
        assert_eq!((requests.len(), requests[0].name.as_str()), (1, "GET /"));
        assert!(now.elapsed() < LIMIT / 2 && handle.connections().is_empty());
        assert!(to_end(asks).starts_with("HTTP/1.1 503 "), "{cut_before}");
    }
}

#[test]
fn a_run_in_steps_keeps_its_scope_busy_until_the_manager_is_closed() {
    let lifecycle = Lifecycle::install(Config::default()).unwrap();
    let stop = lifecycle.stop();
    let (say, closed_in) = channel();
    let theirs = stop.clone();
    let mut manager = Manager::new(move |conn: &Connection, event: Event<'_>| match event {
        Event::Close if conn.is_listening() => say.send(theirs.phase()).unwrap(),
        event => {
            if let Event::HttpMessage(_) = event {
                theirs.request_stop("the test is over");
            }
            hello(conn, event);
        }
    });
    let listener = manager.listen("http://127.0.0.1:0").unwrap();
    manager.count_in(lifecycle.scope("manager"));
    lifecycle.ready();
    let client = asking(address(&listener), GET);
    let (mut report, began) = (None, Instant::now());
    while report.is_none() {
        assert!(began.elapsed() < LIMIT, "the run does not end");
        report = manager.run_poll(&stop, LIMIT).unwrap();
    }
    assert!(report.unwrap().is_clean());
    assert!(to_end(client).contains("Connection: close"));
    assert_eq!(closed_in.recv_timeout(LIMIT), Ok(Phase::Draining));
    assert_eq!(stop.phase(), Phase::Draining);
    drop(manager);
    let report = lifecycle.close();
    assert_eq!((report.exit_status(), report.scopes[0].in_flight_at_stop), (0, 1));
}
