//! An nginx of our own, never the machine's service.

use crate::process::Running;
use anyhow::{Context as _, Result};
use std::env;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Whether it keeps files open, or opens them with each request, as it does unless told otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cache {
    Off,
    On,
}

/// Where it is, if it is in the path.
pub(super) fn find() -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|place| place.join("nginx")).find(|program| program.is_file())
}

pub(super) fn version(program: &Path) -> Result<String> {
    let output = Command::new(program).arg("-v").output()?;
    let text = String::from_utf8(output.stderr)?;
    Ok(text.trim().trim_start_matches("nginx version: ").to_owned())
}

/// Starts one that serves a folder. What it writes goes under `dir`.
pub(super) fn start(program: &Path, dir: &Path, site: &Path, cache: Cache) -> Result<Running> {
    let prefix = dir.join(format!("cache-{cache:?}").to_lowercase());
    fs::create_dir(&prefix)?;
    // Free a moment ago: nginx cannot say which port it was given.
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    fs::write(prefix.join("nginx.conf"), configuration(address, site, cache))?;
    let mut command = Command::new(program);
    command.arg("-p").arg(&prefix).args(["-c", "nginx.conf", "-e", "error.log"]);
    Running::foreign(command, address).with_context(|| {
        let said = fs::read_to_string(prefix.join("error.log")).unwrap_or_default();
        format!("nginx did not start: {said}")
    })
}

fn configuration(address: SocketAddr, site: &Path, cache: Cache) -> String {
    let cache = match cache {
        Cache::Off => "",
        Cache::On => "open_file_cache max=100; open_file_cache_valid 3600s;",
    };
    // The worker runs as whoever runs the master, who may read the folder.
    format!(
        "daemon off;
         worker_processes 1;
         user root;
         pid nginx.pid;
         events {{ worker_connections 4096; }}
         http {{
           access_log off;
           sendfile on;
           {cache}
           keepalive_timeout 3600s;
           keepalive_requests 1000000000;
           client_body_temp_path body;
           proxy_temp_path proxy;
           fastcgi_temp_path fastcgi;
           uwsgi_temp_path uwsgi;
           scgi_temp_path scgi;
           server {{
             listen {address} backlog=4096;
             root {};
           }}
         }}
        ",
        site.display()
    )
}
