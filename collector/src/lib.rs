//! Receives OTLP, admits it, takes out what must not be stored, keeps it in the log, and decodes it for the
//! drain and the error index.
//!
//! The flow of a request: [`http`](mod@http) or `grpc` reads its bytes within the limits ([`limits`]),
//! [`admit`] knows who sends, `receive` walks over the bytes once (`wire`), has what is declared taken out
//! ([`redact`]) and appends the frame to the log, which answers once it is fsynced. JSON becomes protobuf
//! first (`json`); protobuf of which nothing had to change goes to the log byte for byte. Every refusal is a
//! [`refusal::Refusal`], which says what it means over HTTP and over gRPC.
//!
//! Separately, [`Decoder`] turns frames back into records. It never refuses: what was admitted is stored,
//! and what has to be cut or set aside is counted by reason.
//!
//! Deliberately absent: batching, queues and retries. The log is the only queue; what is not in it is
//! refused, and the client still has it.

pub mod admit;
pub mod decode;
mod ids;
mod json;
pub mod limits;
pub mod redact;
pub mod refusal;
mod signal;
pub mod status;
mod text;
mod wire;

pub use decode::{Decoder, DecoderConfig};
pub use redact::RedactConfig;
pub use signal::Signal;
pub use status::CollectorStatus;
