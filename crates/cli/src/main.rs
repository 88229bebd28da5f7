//! The `exeunt` command.

fn main() {}
