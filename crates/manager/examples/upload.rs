//! A page with a form, whose files go into a directory.
//!
//! `upload DIRECTORY [ADDRESS [GRACE_MS]]` runs until it is stopped, and finishes then what is on its way. In a browser, or
//! with `curl -F note=hello -F photo=@photo.jpg http://127.0.0.1:8000/`.
#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a program says what it does, and why it cannot"
)]

use exeunt_lifecycle::{Config, Lifecycle};
use exeunt_manager::uploads::SaveAs;
use exeunt_manager::{Connection, Event, Form, Manager, Uploads};
use std::process::ExitCode;
use std::time::Duration;

const PAGE: &str = "<!doctype html><title>Upload</title><form method=post enctype=multipart/form-data>\
    <p><input name=note><p><input type=file name=photo multiple><p><button>Send</button></form>";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(directory) = arguments.next() else {
        println!("upload DIRECTORY [ADDRESS [GRACE_MS]]");
        return ExitCode::from(2);
    };
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8000".to_owned());
    let grace = arguments.next().and_then(|ms| ms.parse().ok()).unwrap_or(25_000);
    let config = Config::default().grace(Duration::from_millis(grace));
    let lifecycle = Lifecycle::install(config).expect("signals can be had");

    let uploads = Uploads::to(directory).save_as(SaveAs::ClientName);
    let mut manager = Manager::new(move |conn: &Connection, event: Event<'_>| match event {
        // The body is not here yet: this is where to say what becomes of it.
        Event::HttpHeaders(request) if request.method() == "POST" => {
            if let Err(error) = conn.receive_form(request, &uploads) {
                conn.reply(error.status(), &[], error.to_string());
            }
        }
        Event::HttpMessage(request) => match request.form() {
            Some(form) => conn.reply(200, &[], told(form)),
            None => conn.reply(200, &[("Content-Type", "text/html; charset=utf-8")], PAGE),
        },
        Event::Error(text) => println!("error: {text}"),
        _ => {}
    });
    let listener = manager.listen(&format!("http://{address}")).expect("the address is free");
    println!("serving {}", listener.local_address().expect("it listens"));
    lifecycle.ready();
    println!("{}", manager.run(&lifecycle).expect("the kernel waits"));
    drop(manager);
    ExitCode::from(lifecycle.close().exit_status())
}

fn told(form: &Form) -> String {
    let fields = form.fields().map(|(name, value)| format!("{name}: {value}\n"));
    let files = form.files().iter().map(|file| {
        let name = file.path().file_name().unwrap_or_default().display();
        format!("{} ({}): {} bytes as {name}\n", file.field(), file.filename(), file.length())
    });
    fields.chain(files).collect()
}
