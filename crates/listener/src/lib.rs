//! Listening sockets that close without losing anyone
