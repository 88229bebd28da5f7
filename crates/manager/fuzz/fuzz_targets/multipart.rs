//! Forms that carry files.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exeunt_manager::http::fuzzing::multipart(bytes));
