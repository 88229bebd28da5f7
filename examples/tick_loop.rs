//! A loop that advances some state at each tick. The state is saved last, so it is the first component started.
//!
//! `tick_loop FILE`
#![allow(clippy::print_stdout, reason = "a program prints; a library does not")]

use exeunt::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

fn main() -> exeunt::Exit {
    exeunt::main(async |app| {
        let file = std::env::args_os().nth(1).ok_or("usage: tick_loop FILE")?;
        let state = app.component("state", State::load(file.into()), State::save).await?;
        let screen = app.component("screen", Screen::open(), Screen::close).await?;
        app.task("ticks", |stop| async move {
            while stop.sleep_async(Duration::from_millis(7)).await {
                screen.show(state.tick());
            }
        });
        Ok(())
    })
}

struct State {
    file: PathBuf,
    ticks: AtomicU64,
}

impl State {
    async fn load(file: PathBuf) -> Result<Arc<Self>, Error> {
        let ticks = match tokio::fs::read_to_string(&file).await {
            Ok(text) => text.trim().parse()?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error.into()),
        };
        println!("opened state at {ticks}");
        Ok(Arc::new(Self { file, ticks: AtomicU64::new(ticks) }))
    }

    fn tick(&self) -> u64 {
        self.ticks.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Beside the old file first, so that there is a whole one at any time.
    async fn save(self: Arc<Self>) -> io::Result<()> {
        let ticks = self.ticks.load(Ordering::SeqCst);
        let beside = beside(&self.file);
        tokio::fs::write(&beside, format!("{ticks}\n")).await?;
        tokio::fs::rename(&beside, &self.file).await?;
        println!("saved state at {ticks}");
        Ok(())
    }
}

fn beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// Stands for whatever shows the state; it says goodbye before the state is saved.
struct Screen;

impl Screen {
    async fn open() -> io::Result<Arc<Self>> {
        println!("opened screen");
        Ok(Arc::new(Self))
    }

    fn show(&self, ticks: u64) {
        println!("tick {ticks}");
    }

    async fn close(self: Arc<Self>) {
        println!("closed screen");
    }
}
