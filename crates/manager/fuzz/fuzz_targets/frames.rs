//! WebSocket frames, to a server and to a client.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exeunt_manager::websocket::fuzzing::frames(bytes));
