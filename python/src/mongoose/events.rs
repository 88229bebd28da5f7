//! The numbers of the events (`MG_EV_*`), which programs compare with.

pub(super) const ERROR: u8 = 0;
pub(super) const OPEN: u8 = 1;
pub(super) const POLL: u8 = 2;
pub(super) const RESOLVE: u8 = 3;
pub(super) const CONNECT: u8 = 4;
pub(super) const ACCEPT: u8 = 5;
pub(super) const TLS_HS: u8 = 6;
pub(super) const READ: u8 = 7;
pub(super) const WRITE: u8 = 8;
pub(super) const CLOSE: u8 = 9;
pub(super) const HTTP_HDRS: u8 = 10;
pub(super) const HTTP_MSG: u8 = 11;
pub(super) const WS_OPEN: u8 = 12;
pub(super) const WS_MSG: u8 = 13;
pub(super) const WS_CTL: u8 = 14;
pub(super) const WAKEUP: u8 = 19;
