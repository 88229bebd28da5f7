//! HTTP/1.1 as bytes: where a request ends and what is in it, how a reply is written, and what a raw reply says; and the
//! same from a client's side.
//!
//! Nothing here does I/O. Parsers are given what has arrived so far, and remember how far they looked; what is not
//! exactly a request by RFC 9112 is refused, since two readings of one byte stream are what request smuggling is
//! made of.

mod answer;
mod answer_head;
mod ask;
mod asking;
mod auth;
mod body;
mod body_stream;
mod chunked;
mod facts;
pub(crate) mod files;
mod form;
mod head;
mod message;
pub mod multipart;
mod outgoing;
mod reply_error;
mod request;
mod response;
mod said;
mod sse;
mod status;
mod target;
pub(crate) mod token;
mod vocabulary;

#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzzing;

pub use answer::Response;
pub(crate) use answer_head::{AnswerHead, AskedAs, Ends};
pub(crate) use ask::{Ask, ask};
pub(crate) use asking::{Asked, Asking};
pub use auth::{CredentialsError, basic_auth};
pub(crate) use body::BodyReader;
pub(crate) use body_stream::BodyStream;
pub(crate) use chunked::TOO_LONG;
pub use files::{Files, FilesError};
pub use form::{variable, variables};
pub(crate) use head::{Head, HeadParser};
pub(crate) use outgoing::{Outgoing, announce_end};
pub use reply_error::ReplyError;
pub(crate) use reply_error::check;
pub use request::Request;
pub(crate) use response::{Answering, Form, Reply, chunk, write};
pub(crate) use sse::sse;
pub(crate) use token::members;
pub use vocabulary::{Refusal, Version};
