//! Runs one request on a connection of its own, on a blocking thread.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::compression::Encoder;
use super::exception::{Exception, code};
use super::format::{Delivery, delivery, head_length};
use super::library::{Connection, Library, LibraryError};
use super::request::Request;
use super::statement::Statement;

/// A client that takes nothing of its answer for this long is given up, so that it cannot hold one of the
/// few query slots for ever.
const STALLED_CLIENT: Duration = Duration::from_secs(60);
/// An answer that cannot be streamed is made in memory and may not be larger than this.
const MAX_WHOLE_ANSWER_BYTES: u64 = 256 << 20;
/// A query that reads gets this long unless the request says otherwise: a client that went away cannot
/// stop the engine in the middle of an aggregation.
const DEFAULT_EXECUTION_SECONDS: u64 = 300;
/// Data of an insert goes to the engine in pieces of this size; the engine copies each.
const APPEND_BYTES: usize = 4 << 20;

/// What bounds the engine's memory.
#[derive(Debug, Clone, Copy)]
pub struct MemoryLimits {
    /// The whole engine, caches included.
    pub total_bytes: u64,
}

impl MemoryLimits {
    /// Options of the connection that boots the engine. Caches that default to gigabytes get shares of the
    /// bound.
    fn server_options(self) -> Vec<String> {
        let share = |parts: u64| self.total_bytes / parts;
        [
            ("max_server_memory_usage", self.total_bytes),
            ("mark_cache_size", share(16)),
            ("primary_index_cache_size", share(16)),
            ("index_mark_cache_size", share(64)),
            ("query_condition_cache_size", share(64)),
        ]
        .map(|(name, bytes)| format!("{name}={bytes}"))
        .to_vec()
    }

    /// Settings of every request that does not set them itself: one query gets at most three quarters,
    /// and large sorts and aggregations go to disk before that.
    fn query_settings(self) -> [(&'static str, String); 3] {
        [
            ("max_memory_usage", (self.total_bytes / 4 * 3).to_string()),
            ("max_bytes_before_external_group_by", (self.total_bytes / 4).to_string()),
            ("max_bytes_before_external_sort", (self.total_bytes / 4).to_string()),
        ]
    }
}

/// The engine of this process, up for as long as this lives.
pub struct Engine {
    library: Arc<Library>,
    directory: PathBuf,
    limits: MemoryLimits,
    /// The connection that booted the engine: it stops with its last connection.
    root: Mutex<Option<Connection>>,
    version: String,
}

impl Engine {
    /// Boots the engine on `directory`.
    ///
    /// # Errors
    /// The directory cannot be opened.
    pub fn boot(library: Arc<Library>, directory: PathBuf, limits: MemoryLimits) -> Result<Self, LibraryError> {
        let mut root = library.open(&directory, &limits.server_options())?;
        let version = root.query(b"SELECT version()", "TSVRaw", &[]).unwrap_or_default();
        let version = String::from_utf8_lossy(&version).trim().to_owned();
        Ok(Self {
            library,
            directory,
            limits,
            root: Mutex::new(Some(root)),
            version,
        })
    }

    /// ClickHouse's version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Closes the engine once no request runs any more; false when threads of it did not stop.
    pub fn close(&self) -> bool {
        drop(self.root.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.library.shut_down()
    }

    /// Runs the least of queries; blocks until it is done.
    ///
    /// # Errors
    /// The engine answers, but cannot run it.
    pub fn probe(&self) -> Result<(), Exception> {
        let mut connection = self.connect()?;
        connection.query(b"SELECT 1", "Null", &[]).map(|_| ())
    }

    fn connect(&self) -> Result<Connection, Exception> {
        self.library
            .open(&self.directory, &[])
            .map_err(|error| Exception::internal(&error.to_string()))
    }

    /// Runs `request`; blocks until it is done or its client is gone.
    pub fn execute(&self, request: &Request, mut answer: Answer) {
        if let Err(exception) = self.run(request, &mut answer) {
            answer.fail(exception);
        }
    }

    fn run(&self, request: &Request, answer: &mut Answer) -> Result<(), Exception> {
        let mut connection = self.connect()?;
        let read_only = check_one_statement(&mut connection, &request.statement)?;
        self.prepare(&mut connection, request, read_only)?;
        match &request.statement {
            Statement::Insert { head, format, data } => {
                let mut insertion = connection.insert(head, format, &request.parameters)?;
                for piece in data.iter().flat_map(|part| part.chunks(APPEND_BYTES)) {
                    insertion.append(piece)?;
                }
                let written_rows = insertion.finish()?;
                answer.start(Head {
                    format: None,
                    written_rows: Some(written_rows),
                });
                answer.end()
            }
            Statement::Other { text, format } => {
                let format = format.as_ref().unwrap_or(&request.default_format);
                let delivery = if read_only && is_select(text) {
                    delivery(format)
                } else {
                    Delivery::Whole
                };
                match delivery {
                    Delivery::Whole => {
                        let whole = connection.query(text, format, &request.parameters)?;
                        answer.start(Head {
                            format: Some(format.clone()),
                            written_rows: None,
                        });
                        answer.piece(whole)?;
                        answer.end()
                    }
                    streamed => stream(&mut connection, text, format, request, streamed, answer),
                }
            }
        }
    }

    /// Database and settings of the connection. One SET holds all of them, because `readonly` forbids any
    /// SET after it.
    fn prepare(&self, connection: &mut Connection, request: &Request, read_only: bool) -> Result<(), Exception> {
        if let Some(database) = &request.database {
            connection.query(format!("USE {}", quoted(database, '`')).as_bytes(), "Null", &[])?;
        }
        let mut settings = self.limits.query_settings().to_vec();
        if read_only {
            settings.push(("max_execution_time", DEFAULT_EXECUTION_SECONDS.to_string()));
        }
        let whole = matches!(&request.statement, Statement::Other { format, .. }
            if delivery(format.as_ref().unwrap_or(&request.default_format)) == Delivery::Whole);
        if whole {
            settings.push(("max_result_bytes", MAX_WHOLE_ANSWER_BYTES.to_string()));
        }
        settings.retain(|(name, _)| !request.settings.iter().any(|(set, _)| set == name));
        let assignments: Vec<String> = settings
            .iter()
            .map(|(name, value)| (*name, value))
            .chain(request.settings.iter().map(|(name, value)| (name.as_str(), value)))
            .map(|(name, value)| format!("{name} = {}", quoted(value, '\'')))
            .collect();
        connection.query(format!("SET {}", assignments.join(", ")).as_bytes(), "Null", &[])?;
        Ok(())
    }
}

/// Refuses what is not exactly one statement; tells whether it only reads.
fn check_one_statement(connection: &mut Connection, statement: &Statement) -> Result<bool, Exception> {
    let with_format;
    let text = match statement {
        Statement::Insert { head, format, .. } => {
            with_format = [head.as_ref(), b" FORMAT ", format.as_bytes()].concat();
            with_format.as_slice()
        }
        Statement::Other { text, .. } => text.as_ref(),
    };
    let classified = connection.classify(text)?;
    match classified.statements {
        1 => Ok(classified.read_only),
        0 => Err(syntax_error(connection, text)),
        several => Err(Exception::new(
            code::SYNTAX_ERROR,
            "SYNTAX_ERROR",
            format_args!("Syntax error (Multi-statements are not allowed): the request holds {several} statements"),
        )),
    }
}

/// What the parser says about a text, which is not run: `formatQuery` only parses its argument.
fn syntax_error(connection: &mut Connection, text: &[u8]) -> Exception {
    let parameter = [("text".to_owned(), escaped(&String::from_utf8_lossy(text)))];
    match connection.query(b"SELECT formatQuery({text:String})", "Null", &parameter) {
        Err(exception) if exception.code == code::SYNTAX_ERROR => exception,
        _ => Exception::new(code::SYNTAX_ERROR, "SYNTAX_ERROR", "Syntax error: this is not one statement"),
    }
}

/// Only SELECT can be streamed: the engine refuses SHOW, DESCRIBE, EXPLAIN and the like.
fn is_select(text: &[u8]) -> bool {
    let first = super::statement::first_word(text);
    ["SELECT", "WITH", "("]
        .iter()
        .any(|word| first.eq_ignore_ascii_case(word.as_bytes()))
}

fn stream(
    connection: &mut Connection,
    text: &[u8],
    format: &str,
    request: &Request,
    delivery: Delivery,
    answer: &mut Answer,
) -> Result<(), Exception> {
    let mut rows = connection.stream(text, format, &request.parameters)?;
    let mut first = true;
    while let Some(mut piece) = rows.next_piece()? {
        if first {
            answer.start(Head {
                format: Some(format.to_owned()),
                written_rows: None,
            });
        } else if delivery == Delivery::StreamedWithoutHeads {
            piece.drain(..head_length(&piece)?);
        }
        first = false;
        answer.piece(piece)?;
    }
    answer.start(Head {
        format: Some(format.to_owned()),
        written_rows: None,
    });
    answer.end()
}

/// Backslash escapes, as strings and bound parameters have them.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' => escaped.push_str("\\\\"),
            '\n' => escaped.push_str("\\n"),
            '\t' => escaped.push_str("\\t"),
            '\r' => escaped.push_str("\\r"),
            '\0' => escaped.push_str("\\0"),
            other => escaped.push(other),
        }
    }
    escaped
}

fn quoted(text: &str, quote: char) -> String {
    let escaped = escaped(text).replace(quote, &format!("\\{quote}"));
    format!("{quote}{escaped}{quote}")
}

/// What is known once an answer begins.
#[derive(Debug)]
pub struct Head {
    /// The format of the answer; `None` when there is nothing to answer.
    pub format: Option<String>,
    /// Rows written by an insert.
    pub written_rows: Option<u64>,
}

/// Where an answer goes: its head once, then its pieces with back-pressure.
pub struct Answer {
    head: Option<oneshot::Sender<Result<Head, Exception>>>,
    pieces: mpsc::Sender<Result<Bytes, Exception>>,
    encoder: Option<Encoder>,
    runtime: tokio::runtime::Handle,
}

impl Answer {
    /// An answer that goes to these channels, compressed by `encoder`.
    pub fn new(head: oneshot::Sender<Result<Head, Exception>>, pieces: mpsc::Sender<Result<Bytes, Exception>>, encoder: Encoder) -> Self {
        Self {
            head: Some(head),
            pieces,
            encoder: Some(encoder),
            runtime: tokio::runtime::Handle::current(),
        }
    }

    fn start(&mut self, head: Head) {
        if let Some(sender) = self.head.take() {
            // A client that is gone is noticed with the first piece.
            let _ = sender.send(Ok(head));
        }
    }

    fn piece(&mut self, piece: Vec<u8>) -> Result<(), Exception> {
        let encoder = self
            .encoder
            .as_mut()
            .ok_or_else(|| Exception::internal("a piece after the end of an answer"))?;
        let bytes = encoder.push(piece)?;
        self.send(bytes)
    }

    fn end(&mut self) -> Result<(), Exception> {
        let encoder = self.encoder.take().ok_or_else(|| Exception::internal("an answer ended twice"))?;
        let bytes = encoder.finish()?;
        self.send(bytes)
    }

    fn send(&self, bytes: Vec<u8>) -> Result<(), Exception> {
        if bytes.is_empty() {
            return Ok(());
        }
        let sending = tokio::time::timeout(STALLED_CLIENT, self.pieces.send(Ok(bytes.into())));
        match self.runtime.block_on(sending) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Exception::new(210, "NETWORK_ERROR", "The client does not take its answer")),
        }
    }

    fn fail(mut self, exception: Exception) {
        match self.head.take() {
            Some(head) => {
                let _ = head.send(Err(exception));
            }
            // The head is out already: the error cuts the connection off, so that no client takes the
            // part for the whole.
            None => {
                let sending = tokio::time::timeout(STALLED_CLIENT, self.pieces.send(Err(exception)));
                let _ = self.runtime.block_on(sending);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_cannot_be_left() {
        assert_eq!(quoted("a`b\\", '`'), "`a\\`b\\\\`");
        assert_eq!(quoted("1', readonly = '0", '\''), "'1\\', readonly = \\'0'");
        assert_eq!(quoted("a\nb", '\''), "'a\\nb'");
    }
}
