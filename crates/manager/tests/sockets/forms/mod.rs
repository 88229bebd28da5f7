//! Bodies as they come, and forms with files (M20).

mod bodies;
mod disk;
mod foreign;
mod refusals;
mod stopping;

use crate::probe::{Probe, example};
use crate::support::{Log, Polled, name};
use exeunt_manager::{Connection, Event, Uploads};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// Receives forms into that directory, and tells what came.
fn receiving(uploads: Uploads, log: Log) -> impl Fn(&Connection, Event<'_>) + Send + Sync + 'static {
    move |conn, event| {
        match event {
            Event::HttpHeaders(request) => {
                if let Err(error) = conn.receive_form(request, &uploads) {
                    conn.reply(error.status(), &[], error.to_string());
                }
            }
            Event::HttpMessage(request) => {
                let form = request.form().unwrap();
                let fields = form.fields().map(|(name, value)| format!("{name}={value}"));
                let files = form.files().iter().map(|file| {
                    let sum: u64 = fs::read(file.path()).unwrap().iter().map(|byte| u64::from(*byte)).sum();
                    format!("{}={}:{}:{sum}", file.field(), file.filename(), file.length())
                });
                conn.reply(200, &[], fields.chain(files).collect::<Vec<_>>().join("\n"));
            }
            _ => {}
        }
        log.push(name(&event));
    }
}

fn served(uploads: Uploads) -> (Polled, SocketAddr, Log) {
    let log = Log::default();
    let polled = Polled::new(receiving(uploads, log.clone()));
    let address = polled.listen("http://127.0.0.1:0");
    (polled, address, log)
}

fn listed(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn head(framing: &str) -> String {
    format!(
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: multipart/form-data; boundary=x\r\n{framing}\r\n\r\n"
    )
}

fn with_length(body: &str) -> String {
    head(&format!("Content-Length: {}", body.len())) + body
}

fn file(content: &str) -> String {
    format!("--x\r\nContent-Disposition: form-data; name=f; filename=a\r\n\r\n{content}\r\n--x--\r\n")
}

/// How curl ended, and what it was told.
fn curl(address: SocketAddr, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "120", "--noproxy", "*", "-w", "\n%{http_code}"]);
    let output = command.args(arguments).arg(format!("http://{address}/")).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

fn has_curl() -> bool {
    let there = Command::new("curl").arg("--version").output().is_ok();
    if !there {
        eprintln!("SKIPPED: there is no curl; scripts/test-tools installs it");
    }
    there
}

/// The example, and its address. `before`: what a shell does first.
fn upload(directory: &TempDir, before: &str) -> (Probe, SocketAddr) {
    let mut command = Command::new("sh");
    let script = format!("{before} exec \"$0\" \"$@\"");
    command.args(["-c", &script]).arg(example("upload")).arg(directory.path()).arg("127.0.0.1:0");
    let program = Probe::of(command);
    let address = program.line().strip_prefix("serving ").unwrap().parse().unwrap();
    (program, address)
}
