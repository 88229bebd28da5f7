use crate::config::{Drill, contains_port, with_port};
use crate::control;
use crate::error::Error;
use crate::load::Count;
use crate::port::free_port;
use crate::resources::Resources;
use crate::round::{Round, Setup, answers};
use crate::scenario::Scenario;
use crate::signal::StopSignal;
use crate::verdict::{
    Control, FaultKind, ScenarioVerdict, Settings, Verdict, counting, judge, judge_scenario, millis,
};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime;
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;

/// A drill loads the machine, raises limits and adopts orphans: two at a time in one process would judge each other.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// So many void rounds before the first that counts: it will not become better.
const HOPELESS: usize = 3;

/// In `flight`, unless told otherwise: some ten times what a network within a data centre takes.
const FLIGHT: Duration = Duration::from_millis(5);

/// Follows a drill. Every method does nothing by default; `()` follows nothing.
pub trait Progress {
    /// The drill begins; so many rounds are planned, control rounds included.
    fn begins(&mut self, rounds: u32) {
        _ = rounds;
    }
    /// A round is about to begin, numbered from 1 within its scenario.
    fn round(&mut self, scenario: Scenario, control: bool, round: u32) {
        _ = (scenario, control, round);
    }
    /// A scenario is judged.
    fn scenario(&mut self, verdict: &ScenarioVerdict) {
        _ = verdict;
    }
    /// All rounds of the drill are over.
    fn ends(&mut self) {}
}

impl Progress for () {}

/// Asks a running drill to give up, from any thread.
#[derive(Clone, Debug, Default)]
pub struct Stop(CancellationToken);

impl Stop {
    /// Not yet requested.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on the drill ends everything it started and returns [`Error::Interrupted`].
    pub fn request(&self) {
        self.0.cancel();
    }
}

pub(crate) fn run(
    drill: &Drill,
    scenarios: &[Scenario],
    progress: &mut dyn Progress,
    stop: &Stop,
) -> Result<Verdict, Error> {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let resources = Resources::take();
    let runtime = runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(|source| Error::Io { doing: "starting the load's runtime", source })?;
    let local = LocalSet::new();
    runtime.block_on(local.run_until(async {
        tokio::select! {
            biased;
            () = stop.0.cancelled() => Err(Error::Interrupted),
            verdict = hold(drill, scenarios, &resources, progress) => verdict,
        }
    }))
}

async fn hold(
    drill: &Drill,
    scenarios: &[Scenario],
    resources: &Resources,
    progress: &mut dyn Progress,
) -> Result<Verdict, Error> {
    let began = Instant::now();
    let address = drill.address()?;
    if answers(address).await {
        return Err(Error::PortTaken { port: address.port() });
    }
    let mut notes = Vec::new();
    let (connections, word) = resources.fit("connections", drill.connections);
    notes.extend(word);
    let (idle_connections, word) = resources.fit("idle connections", drill.idle_connections);
    notes.extend(word.filter(|_| scenarios.contains(&Scenario::Idle)));
    for scenario in drill.wanted().filter(|scenario| !scenarios.contains(scenario)) {
        if let Some((what, option)) = scenario.needs() {
            notes.push(format!("scenario {scenario} left out: it needs {what} ({option})"));
        }
    }
    if drill.control.is_none() {
        notes.push("no control server: that the load can lose anything at all is not proven".to_owned());
    }

    let wanted = |scenario: Scenario| drill.rounds.unwrap_or(scenario.default_rounds());
    let control_rounds =
        |scenario: Scenario| if drill.control.is_some() { scenario.control_rounds() } else { 0 };
    progress.begins(scenarios.iter().map(|scenario| wanted(*scenario) + control_rounds(*scenario)).sum());

    let mut verdicts = Vec::new();
    let mut output = None;
    let mut troubles = Vec::new();
    let mut left_out = Vec::new();
    for scenario in scenarios.iter().copied() {
        let connections = if scenario == Scenario::Idle { idle_connections } else { connections };
        let setup = drill.setup(scenario, address, connections);
        let rounds = hold_scenario(&setup, wanted(scenario), progress).await?;
        let speaks_not = |round: &Round| round.faults.iter().any(|fault| fault.kind == FaultKind::NoHttp2);
        if drill.scenarios.is_empty() && rounds.iter().any(speaks_not) {
            notes.push(format!("scenario {scenario} left out: the server does not answer its preface"));
            left_out.push(scenario);
            continue;
        }
        let control = match drill.control_setup(&setup)? {
            Some(setup) if scenario.control_rounds() > 0 => Some(hold_control(&setup, progress).await?),
            _ => None,
        };
        let trouble = rounds.iter().filter_map(|round| round.ledger.own_trouble.as_ref()).next();
        troubles
            .extend(trouble.map(|(_, error)| format!("{scenario}: the client itself ran short ({error})")));
        if output.is_none() {
            let wrong = |round: &&Round| !round.faults.is_empty() || lost(round) > 0;
            output = rounds.iter().find(wrong).map(|round| round.output.clone());
        }
        let hopeless = rounds.iter().flat_map(|round| &round.faults).any(|fault| fault.kind.ends_drill());
        let verdict = judge_scenario(scenario, wanted(scenario), &rounds, control, drill.signal);
        progress.scenario(&verdict);
        verdicts.push(verdict);
        if hopeless {
            break;
        }
    }
    progress.ends();
    notes.extend(troubles);
    let held = verdicts.len() + left_out.len();
    let given_up: Vec<_> = scenarios.iter().skip(held).map(|scenario| scenario.name()).collect();
    if !given_up.is_empty() {
        notes.push(format!("given up before {}: the server cannot be drilled further", given_up.join(", ")));
    }
    let path_of =
        |scenario: Scenario| drill.paths.get(&scenario).filter(|_| scenarios.contains(&scenario)).cloned();
    let (outcome, reasons) = judge(&verdicts);
    Ok(Verdict {
        schema: 1,
        outcome,
        reasons,
        command: drill
            .command
            .iter()
            .map(|arg| with_port(arg, address.port()).to_string_lossy().into_owned())
            .collect(),
        settings: Settings {
            port: address.port(),
            signal: drill.signal.to_string(),
            to_group: drill.to_group,
            path: drill.path.clone(),
            host: address.ip().to_string(),
            slow_path: path_of(Scenario::Slow),
            flight_path: path_of(Scenario::Flight),
            upload_path: path_of(Scenario::HalfSent),
            large_path: path_of(Scenario::SlowReader),
            ws_path: path_of(Scenario::Websocket),
            sse_path: path_of(Scenario::Sse),
            connections,
            idle_connections,
            flight_ms: millis(drill.flight),
            pipeline: drill.pipeline,
            deadline_ms: millis(drill.deadline),
        },
        notes,
        scenarios: verdicts,
        output,
        elapsed_ms: millis(began.elapsed()),
    })
}

/// Rounds until enough count, hope is gone, or a fault makes the rest pointless.
async fn hold_scenario(setup: &Setup, wanted: u32, progress: &mut dyn Progress) -> Result<Vec<Round>, Error> {
    let most = wanted.saturating_mul(2).saturating_add(2);
    let mut rounds = Vec::new();
    for number in 1..=most {
        progress.round(setup.scenario, false, number);
        let round = setup.hold().await?;
        let over = round.faults.iter().any(|fault| fault.kind.ends_scenario());
        rounds.push(round);
        let counting = counting(&rounds);
        // What is lost stays lost: void rounds are not worth repeating then.
        let settled = number >= wanted && rounds.iter().any(|round| lost(round) > 0);
        if over || settled || counting >= wanted || (counting == 0 && rounds.len() >= HOPELESS) {
            break;
        }
    }
    Ok(rounds)
}

/// The same load on a server that loses.
async fn hold_control(setup: &Setup, progress: &mut dyn Progress) -> Result<Control, Error> {
    let mut control = Control { rounds: 0, lost: 0 };
    for number in 1..=setup.scenario.control_rounds() {
        progress.round(setup.scenario, true, number);
        let round = setup.hold().await?;
        control.rounds += 1;
        control.lost += lost_by_the_stop(&round);
    }
    Ok(control)
}

/// Requests lost, before the signal and after it.
fn lost(round: &Round) -> u64 {
    losses(round).map(|count| count.all).sum()
}

/// Losses by the stop, not by the load: those alone show that the drill can see the former.
fn lost_by_the_stop(round: &Round) -> u64 {
    losses(round).map(|count| count.all - count.before).sum()
}

fn losses(round: &Round) -> impl Iterator<Item = &Count> {
    round.ledger.counts.iter().filter(|((class, _), _)| class.is_loss()).map(|(_, count)| count)
}

impl Drill {
    fn setup(&self, scenario: Scenario, address: SocketAddr, connections: u32) -> Setup {
        let mut command = self.command.iter().map(|arg| with_port(arg, address.port()));
        let own = self.paths.get(&scenario);
        // The path that takes bodies stands beside the others' only.
        let (path, upload) = if scenario == Scenario::HalfSent { (None, own) } else { (own, None) };
        let flight = match scenario {
            Scenario::Flight if self.flight.is_zero() => FLIGHT,
            _ => self.flight,
        };
        Setup {
            program: command.next().unwrap_or_default(),
            args: command.collect(),
            names_port: self.command.iter().any(|arg| contains_port(arg)),
            address,
            probe: self.path.clone(),
            path: path.unwrap_or(&self.path).clone(),
            upload: upload.cloned(),
            goodbye: self.sse_goodbye.clone(),
            scenario,
            connections,
            flight,
            pipeline: self.pipeline,
            signal: self.signal,
            to_group: self.to_group,
            deadline: self.deadline,
            start_deadline: self.start_deadline,
        }
    }

    /// The same on the control server, which knows its own paths and dies of SIGTERM.
    fn control_setup(&self, setup: &Setup) -> Result<Option<Setup>, Error> {
        let Some(command) = &self.control else { return Ok(None) };
        let port = free_port().map_err(|source| Error::Io { doing: "looking for a free port", source })?;
        let mut command = command.iter().map(|arg| with_port(arg, port));
        let upload = setup.upload.as_ref().map(|_| control::UPLOAD_PATH.to_owned());
        Ok(Some(Setup {
            program: command.next().unwrap_or_default(),
            args: command.collect(),
            names_port: true,
            address: (Ipv4Addr::LOCALHOST, port).into(),
            probe: "/".to_owned(),
            path: control::path_of(setup.scenario).to_owned(),
            upload,
            signal: StopSignal::TERM,
            to_group: false,
            start_deadline: Duration::from_secs(10),
            ..setup.clone()
        }))
    }
}
