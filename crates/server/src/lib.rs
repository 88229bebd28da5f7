//! A server for tower services that stops without losing a request
