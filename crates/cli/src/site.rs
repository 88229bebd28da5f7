//! The built-in site that `exeunt drill` stops when no command is given.
