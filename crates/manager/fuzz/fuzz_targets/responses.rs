//! Responses to pipelined requests.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exeunt_manager::http::fuzzing::responses(bytes));
