//! What one request, one record and one name may hold. What is cut or refused is counted by reason.

use std::time::Duration;

/// Bytes of a request's body, as received and after decompression: the OTLP recommendation.
pub const MAX_REQUEST_BYTES: usize = 64 * 1024 * 1024;
/// Bytes that a request takes in memory while it is read as messages, beside its body: three times the
/// largest body, which is what dense JSON becomes. JSON that would become more is refused.
pub const MAX_MESSAGE_BYTES: usize = 3 * MAX_REQUEST_BYTES;
/// Bytes that are held at once of bodies, compressed and decompressed counted apart, and of the messages that
/// they are read as: one of the largest requests (four, with its messages) and two beside it. Past it
/// requests are told to come back, so memory is bounded however many clients there are.
pub const MAX_BYTES_IN_FLIGHT: usize = 6 * MAX_REQUEST_BYTES;
/// Log records, spans or data points of one request. An empty record takes two bytes on the wire and
/// some hundred in memory, so the size of the body alone bounds nothing.
pub const MAX_RECORDS_PER_REQUEST: u64 = 500_000;
/// Messages of any kind (records, attributes, values, events …) in one request, for the same reason.
pub const MAX_MESSAGES_PER_REQUEST: u64 = 8_000_000;
/// Bytes that a message takes in memory beside its texts, about: that of an attribute, of which there are most.
pub const BYTES_PER_MESSAGE: usize = 64;
/// `Resource…` messages of one request: a collector that gathers for others sends some hundred.
pub const MAX_GROUPS_PER_REQUEST: usize = 10_000;
/// Bytes of a request's records when each carries the attributes of its resource and of its scope, as rows of
/// tables do: half of what the database takes as one insert. A request of few bytes may hold a large resource
/// and many records.
pub const MAX_EXPANDED_BYTES: u64 = 128 * 1024 * 1024;
/// Bytes of a client's text that an answer repeats.
pub const MAX_ECHO_BYTES: usize = 256;

/// Bytes of an attribute's value; longer ones are cut.
pub const MAX_ATTRIBUTE_VALUE_BYTES: usize = 32 * 1024;
/// Attributes of a record, a resource, a scope, an event or a link; further ones are cut from the raw row.
pub const MAX_ATTRIBUTES: usize = 256;
/// Depth to which values nest; deeper ones are cut.
pub const MAX_NESTING: usize = 32;
/// Features of one inference; further ones are cut.
pub const MAX_FEATURES: usize = 1_000;
/// Dimensions of an embedding; a longer one is left out whole, since a part of it means nothing.
pub const MAX_EMBEDDING_DIMENSIONS: usize = driftlead_store::embedding::MAX_DIMENSIONS;
/// Exceptions of one span that are found in the index; each is a document of its own.
pub const MAX_EXCEPTIONS_PER_SPAN: usize = 16;
/// Bytes of the names of models, services, features and attributes.
pub use driftlead_store::records::MAX_NAME_BYTES;

/// How far ahead of the receiver's clock an event may lie, in seconds.
pub const MAX_AHEAD_SECONDS: i64 = 600;

/// Services that are counted apart; those beyond are counted together as [`OTHER_SERVICES`].
pub const MAX_SERVICES_COUNTED: usize = 1_000;
/// Name under which further services are counted.
pub const OTHER_SERVICES: &str = "other";

/// Connections of one listener; more wait to be accepted.
pub const MAX_CONNECTIONS: usize = 1_024;
/// Requests of one HTTP/2 connection at once.
pub const MAX_CONCURRENT_STREAMS: u32 = 128;
/// Bytes of a request's headers, which hold at most a key and a few names.
pub const MAX_HEADER_BYTES: usize = 64 * 1024;
/// How long a body may stand still: a client that stalls holds memory that others need.
pub const BODY_IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a whole body may take: at this bound the largest request comes at 220 kB/s.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(300);
/// How long a connection may be without a request, or take to send the headers of one: longer than any
/// exporter's interval.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(300);
/// How often an idle HTTP/2 connection is asked whether it still lives, and how long it may take to answer.
pub const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// How long requests that were begun before a stop may take to end.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(10);

/// When a client whose request was refused for the moment should come back: about the time that a full
/// log needs to drain a segment.
pub const RETRY_AFTER: Duration = Duration::from_secs(5);
/// Bodies beyond this many bytes are decompressed, checked and redacted on a blocking thread, so that one
/// large request does not stall the others of its worker.
pub const INLINE_BYTES: usize = 256 * 1024;
