//! The drain protocol of one connection, as a pure state machine
