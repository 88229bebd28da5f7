//! Reloads its configuration on SIGHUP and goes on; a configuration that cannot be read leaves the old one in place.
//!
//! `reload FILE`, with a greeting in the file.
#![allow(clippy::print_stdout, reason = "a program prints; a library does not")]

use exeunt::{Config, Error, Signal};
use std::ffi::OsString;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

fn main() -> exeunt::Exit {
    exeunt::main_with(Config::default().terminate_on_hup(false), async |app| {
        let file = std::env::args_os().nth(1).ok_or("usage: reload FILE")?;
        let greeting = Arc::new(Greeting { file, text: RwLock::default() });
        // The hook first: a file that is written after this is read, by the hook or below.
        app.on_signal(Signal::HANGUP, {
            let greeting = Arc::clone(&greeting);
            move |_, _| {
                if let Err(error) = greeting.load() {
                    println!("kept {}: {error}", greeting.text());
                }
            }
        })?;
        greeting.load()?;
        app.task("greeter", |stop| async move {
            while stop.sleep_async(Duration::from_millis(10)).await {
                println!("greets {}", greeting.text());
            }
        });
        Ok(())
    })
}

struct Greeting {
    file: OsString,
    text: RwLock<String>,
}

impl Greeting {
    fn load(&self) -> Result<(), Error> {
        let read = std::fs::read_to_string(&self.file)?;
        if read.trim().is_empty() {
            return Err("there is no greeting in it".into());
        }
        println!("loaded {}", read.trim());
        read.trim().clone_into(&mut self.text.write().unwrap_or_else(PoisonError::into_inner));
        Ok(())
    }

    fn text(&self) -> String {
        self.text.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
