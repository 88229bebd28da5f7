//! What the tests strike with signals and fill with connections: a server, or a loop that tells its passes.
//!
//! `probe serve ADDRESS [GRACE_MS [FOLDER]]` runs with a lifecycle until it is stopped, and has the folder at `/files/`;
//! `systemd:NAME` is an address, too. `probe passes` polls without limit, says `pass` after each, and ends by SIGTERM
//! without following the stop.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a program for tests")]

use exeunt_lifecycle::{Config, Lifecycle, Signal};
use exeunt_manager::{Connection, Event, Files, Listen, Manager, Schedule};
use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::Duration;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let argument = |at: usize| arguments.get(at).map(String::as_str);
    let grace = argument(2).and_then(|ms| ms.parse().ok()).unwrap_or(25_000);
    let config = Config::default().grace(Duration::from_millis(grace)).on_signal(Signal::USER1, |_, _| {});
    let lifecycle = Lifecycle::install(config).expect("signals can be had");
    if let Some(folder) = argument(3) {
        FILES.get_or_init(|| Files::open(folder).expect("a folder").prefix("/files"));
    }
    let mut manager = Manager::new(serve);
    match argument(0) {
        Some("serve") => {
            let address = argument(1).unwrap_or("127.0.0.1:0");
            let listener = match address.strip_prefix("systemd:") {
                Some(name) => manager.listen_with("http://*", Listen::new().inherited(name)),
                None => manager.listen(&format!("http://{address}")),
            };
            let listener = listener.expect("a free address");
            println!("serving {}", listener.local_address().expect("it listens"));
            lifecycle.ready();
            println!("{}", manager.run(&lifecycle).expect("the kernel waits"));
        }
        Some("passes") => {
            println!("waiting");
            while !lifecycle.stop().is_requested() {
                manager.poll(None).expect("the kernel waits");
                println!("pass");
            }
        }
        _ => println!("probe serve ADDRESS [GRACE_MS [FOLDER]] | probe passes"),
    }
    drop(manager);
    ExitCode::from(lifecycle.close().exit_status())
}

static FILES: OnceLock<Files> = OnceLock::new();

fn serve(conn: &Connection, event: Event<'_>) {
    let request = match event {
        Event::HttpMessage(request) => request,
        Event::Drain if conn.data::<Slow>().is_some() => return answer_later(conn),
        _ => return,
    };
    match request.uri() {
        "/" => conn.reply(200, &[], "hello"),
        "/large" => conn.reply(200, &[], vec![b'x'; 20_000_000]),
        "/slow" => conn.set_data(Slow),
        "/never" => {}
        _ if let Some(files) = FILES.get() => conn.serve_dir(request, files).expect("it has no answer yet"),
        _ => panic!("what shall I do with {}", request.uri()),
    }
}

/// Asked for what is in flight when a stop begins, however long that takes.
struct Slow;

fn answer_later(conn: &Connection) {
    let (conn, after) = (conn.clone(), Schedule::once(Duration::from_millis(200)));
    if let Some(manager) = conn.manager() {
        _ = manager.timer(after, move |_| conn.reply(200, &[], "slow"));
    }
}
