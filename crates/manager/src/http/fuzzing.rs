//! What must hold for any bytes at all: asserted here, tried by `make fuzz` and, for the kept corpus, by the tests.
