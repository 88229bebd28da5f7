//! Runs a server, loads it, stops it, and accounts for every request
