//! A child as the thread has it that watches it.

use super::builder::Readiness;
use super::charge::Charge;
use super::child::{Child, Shared};
use super::engine::{Engine, Order};
use super::error::ChildError;
use super::exit::ChildExit;
use super::launch::Launch;
use super::life::{Effect, Input, NotReady};
use super::notify::{Said, Socket};
use super::spawn::spawn;
use super::stat::Stat;
use super::strangers::FAMILY;
use crate::cause::Sender;
use crate::runner::detached;
use rustix::io::{Errno, read};
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};
use std::io::{self, PipeReader};
use std::process;
use std::sync::Arc;
use std::time::Instant;

pub(super) struct Running {
    pub(super) charge: Charge,
    process: process::Child,
    notify: Option<Socket>,
    stderr: Option<PipeReader>,
    reaped: bool,
    /// What descends from it is to be killed.
    doomed: bool,
    engine: &'static Engine,
}

/// What of a child something happens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    End = 0,
    Notify = 1,
    Stderr = 2,
}

impl What {
    pub(super) fn of(token: u64) -> Option<Self> {
        [Self::End, Self::Notify, Self::Stderr].into_iter().find(|what| *what as u64 == token & 3)
    }

    fn token(self, id: u64) -> u64 {
        id << 2 | self as u64
    }
}

/// How much of a child's stderr, and how many datagrams of its, are read in one turn: others have theirs then.
const READS: usize = 16;
const DATAGRAMS: usize = 64;

/// Of one that has ended the whole queue is read: systemd makes it 512 long (`net.unix.max_dgram_qlen`), and who is left
/// of its own may write on.
const LAST_TURNS: usize = 64;

impl Running {
    /// Spawns it; if that cannot be, whoever wants it hears of it.
    pub(super) fn start(engine: &'static Engine, launch: Launch) -> Option<Self> {
        let Launch { name, mut command, options, terms } = launch;
        if terms.are_too_late() {
            terms.refuse(ChildError::Stopping { name });
            return None;
        }
        let id = engine.number();
        // Nobody may look for strangers before this one is known.
        let mut strangers = engine.strangers();
        if strangers.are_wanted() {
            command.env(FAMILY, strangers.tokens(id));
        }
        let spawned = spawn(&mut command, &options);
        if let Ok((process, ..)) = &spawned {
            strangers.started(process.id());
        }
        drop(strangers);
        let (process, notify, stderr) = match spawned {
            Ok(spawned) => spawned,
            Err(error) => {
                terms.refuse(error.of(name, &command));
                return None;
            }
        };
        drop(command);
        let is_ready = options.readiness == Readiness::Exec;
        let shared = Arc::new(Shared::new(engine, id, name, process.id(), options.own_group));
        let charge = Charge::new(shared, options, terms);
        let mut running = Self { charge, process, notify, stderr, reaped: false, doomed: false, engine };
        running.watch();
        if is_ready {
            running.apply(Input::Ready);
        }
        if let Some(told) = running.charge.told_before() {
            running.apply(told);
        }
        Some(running)
    }

    fn id(&self) -> u64 {
        self.charge.shared.id
    }

    /// Reaped, and nobody writes to what we read of it.
    pub(super) fn is_over(&self) -> bool {
        self.reaped && self.stderr.is_none()
    }

    /// Whether what descends from it is to be killed; once.
    pub(super) fn take_doom(&mut self) -> Option<u64> {
        std::mem::take(&mut self.doomed).then(|| self.id())
    }

    pub(super) fn happens(&mut self, what: What) {
        match what {
            What::Notify => _ = self.listen(),
            What::Stderr => self.read(READS),
            What::End => self.end(),
        }
    }

    fn watch(&mut self) {
        let (id, engine) = (self.id(), self.engine);
        if let Some(notify) = &self.notify {
            _ = engine.watch(notify, What::Notify.token(id));
        }
        if let Some(stderr) = &self.stderr {
            _ = engine.watch(stderr, What::Stderr.token(id));
        }
        let pid = Pid::from_child(&self.process);
        let watched = pidfd_open(pid, PidfdFlags::empty()).map_err(io::Error::from).and_then(|pidfd| {
            engine.watch(&pidfd, What::End.token(id))?;
            Ok(pidfd)
        });
        match watched {
            Ok(pidfd) if !super::without_pidfds() => {
                if let Some(mut state) = self.charge.shared.state() {
                    state.pidfd = Some(pidfd);
                }
            }
            // An old kernel, or none to be had: a thread waits for it, and leaves it to be reaped.
            _ => wait_in_a_thread(engine, id, pid),
        }
    }

    pub(super) fn apply(&mut self, input: Input) {
        for effect in self.charge.life.apply(Instant::now(), input) {
            match effect {
                Effect::Ready => self.ready(),
                Effect::Tell { by_stop } => self.tell(by_stop),
                Effect::Kill => {
                    self.doomed = true;
                    self.charge.shared.kill();
                }
                Effect::NotReady(why) => self.not_ready(why),
                Effect::LetGo => {
                    self.charge.let_go(ChildExit::Unknown);
                    self.charge.shared.ended();
                }
            }
        }
    }

    fn ready(&mut self) {
        let process = &mut self.process;
        let (stdin, stdout, stderr) = (process.stdin.take(), process.stdout.take(), process.stderr.take());
        if let Some(answer) = self.charge.answer.take() {
            answer(Ok(Child::new(Arc::clone(&self.charge.shared), stdin, stdout, stderr)));
        }
    }

    fn not_ready(&mut self, why: NotReady) {
        let Some(answer) = self.charge.answer.take() else { return };
        self.charge.on_end = None;
        let name = self.charge.shared.name.clone();
        let Some(state) = self.charge.shared.state() else { return };
        let (exit, stderr) = (state.exit.unwrap_or(ChildExit::Unknown), state.tail.text());
        let error = match why {
            NotReady::Ended => ChildError::Ended { name, exit, errno: state.errno, stderr },
            NotReady::Late => {
                let (within, bootstrapped) = (self.charge.options.ready_within, state.bootstrapped);
                ChildError::Late { name, within, bootstrapped, exit, stderr }
            }
            NotReady::Cut => ChildError::Stopping { name },
        };
        drop(state);
        answer(Err(error));
    }

    fn tell(&self, by_stop: bool) {
        if !(by_stop && self.has_heard_the_terminal()) {
            _ = self.charge.shared.signal(self.charge.options.stop_signal.number());
        }
        // One that is stopped would hear it when it goes on.
        _ = self.charge.shared.signal(super::CONTINUE);
    }

    /// Whether the signal from the terminal that is the stop's cause reached this child, too: it goes to all of the
    /// group that was there.
    fn has_heard_the_terminal(&self) -> bool {
        let group = |pid| Stat::of(pid).map(|stat| stat.group);
        !self.charge.options.own_group
            && self.charge.stop_signal_from() == Some(Sender::Terminal)
            && group(self.charge.shared.pid) == group(process::id())
    }

    /// Whether there may be more.
    fn listen(&mut self) -> bool {
        let pid = Pid::from_child(&self.process);
        let read = |notify: &Socket| notify.read(pid, self.charge.options.own_group);
        let datagrams: Vec<Vec<Said>> = match &self.notify {
            Some(notify) => std::iter::from_fn(|| read(notify)).take(DATAGRAMS).collect(),
            None => return false,
        };
        let is_full = datagrams.len() == DATAGRAMS;
        for said in datagrams.into_iter().flatten() {
            if let Some(mut state) = self.charge.shared.state() {
                match &said {
                    Said::Bootstrapped => state.bootstrapped = true,
                    Said::Stopping => state.stopping = true,
                    Said::Status(status) => state.status = Some(status.clone()),
                    Said::Errno(number) => state.errno = Some(*number),
                    Said::Ready | Said::Extend(_) => {}
                }
            }
            match said {
                Said::Ready => self.apply(Input::Ready),
                Said::Extend(time) => self.apply(Input::Extend(time)),
                Said::Bootstrapped | Said::Stopping | Said::Status(_) | Said::Errno(_) => {}
            }
        }
        is_full
    }

    fn read(&mut self, reads: usize) {
        let Some(stderr) = &self.stderr else { return };
        let mut buffer = [0; 16 * 1024];
        for _ in 0..reads {
            match read(stderr, &mut buffer) {
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Ok(count @ 1..) => {
                    if let Some(mut state) = self.charge.shared.state() {
                        state.tail.push(buffer.get(..count).unwrap_or_default());
                    }
                }
                Ok(0) | Err(_) => {
                    self.engine.forget(stderr);
                    self.stderr = None;
                    return;
                }
            }
        }
    }

    /// Its process has ended, and is there to be reaped.
    fn end(&mut self) {
        if self.reaped {
            return;
        }
        // What it had said comes first: that it was ready, why it ended.
        _ = (0..LAST_TURNS).all(|_| self.listen());
        self.read(READS);
        // Who cut it has killed it already, and the notice may still be on its way.
        if self.charge.is_cut() {
            self.apply(Input::Cut);
        }
        let failed = self.charge.answer.is_some();
        let by_itself = !self.charge.life.is_ending() && !failed;
        if self.charge.life.is_ending() || failed {
            self.charge.shared.kill_group();
            self.doomed = true;
        }
        let Some(mut state) = self.charge.shared.state() else { return };
        let exit = match self.process.try_wait() {
            Ok(Some(status)) => status.into(),
            Ok(None) => return,
            Err(_) => ChildExit::Unknown,
        };
        self.reaped = true;
        state.exit = Some(exit);
        if let Some(pidfd) = state.pidfd.take() {
            self.engine.forget(pidfd);
        }
        drop(state);
        // Not under the lock above, which whoever cuts takes, on the signal thread perhaps.
        self.engine.strangers().reaped(self.charge.shared.pid);
        if let Some(notify) = self.notify.take() {
            self.engine.forget(notify);
        }
        self.charge.end_work(exit, by_itself);
        self.charge.let_go(exit);
        self.apply(Input::Ended);
        self.charge.shared.ended();
    }
}

fn wait_in_a_thread(engine: &'static Engine, id: u64, pid: Pid) {
    let wait = move || {
        let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while let Err(Errno::INTR) = waitid(WaitId::Pid(pid), ended) {}
        engine.order(Order::Ended(id));
    };
    // Where there is no thread either, nobody hears of its end, until the stop kills it.
    _ = detached("exeunt-waiting", Box::new(wait));
}
