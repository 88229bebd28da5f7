//! Phases, signals, work and report of a program that stops well
