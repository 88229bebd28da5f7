//! Addresses, escapes and patterns.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| exeunt_manager::http::fuzzing::url(text));
