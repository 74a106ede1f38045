//! The engine's library, `libchdb`: the only module of the product that calls foreign code.
//!
//! It wraps the `chdb_*` functions (chdb-core's `programs/local/chdb.h`) that Driftlead needs in types
//! that cannot be misused: a [`Connection`] runs one statement at a time because every method takes
//! `&mut self`, a [`Rows`] or an [`Insertion`] borrows its connection, and everything is released when
//! it is dropped. The library is never unloaded: its threads outlive every connection.
//!
//! All calls block; whoever is on an async thread calls them through `spawn_blocking`.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::Arc;

use super::exception::Exception;

/// `chdb_connection` of the header: an opaque pointer, handed out behind one more pointer.
type RawConnection = *mut c_void;
/// `chdb_result *`.
type RawResult = *mut c_void;
/// `chdb_insert_stream`.
type RawInsertion = *mut c_void;

/// What `chdb_classify_query_n` fills in (`chdb_query_analysis_v1`).
#[repr(C)]
#[derive(Default)]
struct RawAnalysis {
    struct_size: u32,
    statement_count: u32,
    flags: u32,
    query_class: u32,
}

/// Value of `chdb_state` for success.
const SUCCESS: c_int = 0;
/// `CHDB_QUERY_READ_ONLY`.
const READ_ONLY: u32 = 0;

type Execute = unsafe extern "C" fn(
    RawConnection,
    *const c_char,
    usize,
    *const c_char,
    usize,
    *const *const c_char,
    *const usize,
    *const *const c_char,
    *const usize,
    usize,
) -> RawResult;

/// The functions that are used, resolved once.
struct Functions {
    set_signal_handlers_enabled: unsafe extern "C" fn(c_int),
    connect: unsafe extern "C" fn(c_int, *mut *mut c_char) -> *mut RawConnection,
    close: unsafe extern "C" fn(*mut RawConnection),
    classify: unsafe extern "C" fn(RawConnection, *const c_char, usize, *const c_char, usize, *mut RawAnalysis) -> c_int,
    query: Execute,
    stream_query: Execute,
    fetch: unsafe extern "C" fn(RawConnection, RawResult) -> RawResult,
    cancel_query: unsafe extern "C" fn(RawConnection, RawResult),
    stream_insert: Execute,
    append: unsafe extern "C" fn(RawInsertion, *const c_void, usize) -> c_int,
    done: unsafe extern "C" fn(RawInsertion) -> RawResult,
    insert_error: unsafe extern "C" fn(RawInsertion) -> *const c_char,
    destroy_insert: unsafe extern "C" fn(RawInsertion),
    buffer: unsafe extern "C" fn(RawResult) -> *const u8,
    length: unsafe extern "C" fn(RawResult) -> usize,
    rows_written: unsafe extern "C" fn(RawResult) -> u64,
    error: unsafe extern "C" fn(RawResult) -> *const c_char,
    destroy_result: unsafe extern "C" fn(RawResult),
    shutdown: unsafe extern "C" fn() -> c_int,
}

/// Why the library cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// The file is not there, or is not the library.
    #[error("the engine's library {path} cannot be loaded ({reason}); get it with `make engine`")]
    Load {
        /// Where it was looked for.
        path: PathBuf,
        /// What the loader said.
        reason: String,
    },
    /// The library refused to open the directory.
    #[error("the engine cannot open {directory}: another process may hold it, or it is not an engine's directory")]
    Open {
        /// The data directory.
        directory: PathBuf,
    },
    /// An argument holds a NUL byte.
    #[error("an argument of the engine holds a NUL byte")]
    Argument,
}

/// The loaded library.
pub struct Library {
    functions: Functions,
}

impl Library {
    /// Loads the library and keeps it out of the process's signal handling.
    ///
    /// # Errors
    /// [`LibraryError::Load`], with the command that fetches the library.
    pub fn load(path: &Path) -> Result<Arc<Self>, LibraryError> {
        let failed = |reason: String| LibraryError::Load {
            path: path.to_path_buf(),
            reason,
        };
        if !path.is_file() {
            return Err(failed("there is no such file".to_owned()));
        }
        // SAFETY: loading runs the library's initialisers. It is the pinned file whose hash the package
        // manager checked, and it is loaded before any connection exists.
        let library = unsafe { libloading::Library::new(path) }.map_err(|error| failed(error.to_string()))?;
        // SAFETY: the types are those of the header of the pinned version.
        let functions = unsafe { Functions::resolve(&library) }.map_err(|error| failed(error.to_string()))?;
        // The engine's threads run until the process ends, so its code must stay mapped.
        std::mem::forget(library);
        // SAFETY: documented to be called before the first connection.
        unsafe { (functions.set_signal_handlers_enabled)(0) };
        Ok(Arc::new(Self { functions }))
    }

    /// Opens a connection to `directory`. The first connection of the process boots the engine with the
    /// server's options among `options` (`name=value`); later ones ignore them.
    ///
    /// # Errors
    /// [`LibraryError::Open`] when the engine does not accept the directory.
    pub fn open(self: &Arc<Self>, directory: &Path, options: &[String]) -> Result<Connection, LibraryError> {
        let arguments = ["clickhouse".to_owned(), format!("--path={}", directory.display())]
            .into_iter()
            .chain(options.iter().map(|option| format!("--{option}")))
            .map(CString::new)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| LibraryError::Argument)?;
        let mut pointers: Vec<*mut c_char> = arguments.iter().map(|argument| argument.as_ptr().cast_mut()).collect();
        let count = c_int::try_from(pointers.len()).map_err(|_| LibraryError::Argument)?;
        // SAFETY: `pointers` holds `count` NUL-terminated strings that live until the call returns; the
        // library copies them.
        let raw = unsafe { (self.functions.connect)(count, pointers.as_mut_ptr()) };
        let raw = NonNull::new(raw).ok_or_else(|| LibraryError::Open {
            directory: directory.to_path_buf(),
        })?;
        // SAFETY: `raw` was just handed out. A connection that failed to start holds a null handle.
        if unsafe { *raw.as_ptr() }.is_null() {
            return Err(LibraryError::Open {
                directory: directory.to_path_buf(),
            });
        }
        Ok(Connection {
            library: Arc::clone(self),
            raw,
        })
    }

    /// Stops the engine's threads once every connection is closed; no connection can be opened after.
    /// False when one is still open or a thread did not stop: the process must then leave by
    /// [`exit_at_once`], because running the library's destructors beside live threads crashes.
    pub fn shut_down(&self) -> bool {
        // SAFETY: takes no argument and is documented to be safe from any thread.
        unsafe { (self.functions.shutdown)() == SUCCESS }
    }
}

impl Functions {
    /// # Safety
    /// `library` must be libchdb of the pinned version, whose header gives these types.
    unsafe fn resolve(library: &libloading::Library) -> Result<Self, libloading::Error> {
        macro_rules! symbol {
            ($name:literal) => {
                // SAFETY: as promised by the caller.
                *unsafe { library.get($name) }?
            };
        }
        Ok(Self {
            set_signal_handlers_enabled: symbol!(b"chdb_set_signal_handlers_enabled\0"),
            connect: symbol!(b"chdb_connect\0"),
            close: symbol!(b"chdb_close_conn\0"),
            classify: symbol!(b"chdb_classify_query_n\0"),
            query: symbol!(b"chdb_query_with_params_n\0"),
            stream_query: symbol!(b"chdb_stream_query_with_params_n\0"),
            fetch: symbol!(b"chdb_stream_fetch_result\0"),
            cancel_query: symbol!(b"chdb_stream_cancel_query\0"),
            stream_insert: symbol!(b"chdb_stream_insert_with_params_n\0"),
            append: symbol!(b"chdb_stream_append\0"),
            done: symbol!(b"chdb_stream_done\0"),
            insert_error: symbol!(b"chdb_stream_insert_error\0"),
            destroy_insert: symbol!(b"chdb_destroy_insert_stream\0"),
            buffer: symbol!(b"chdb_result_buffer\0"),
            length: symbol!(b"chdb_result_length\0"),
            rows_written: symbol!(b"chdb_result_rows_written\0"),
            error: symbol!(b"chdb_result_error\0"),
            destroy_result: symbol!(b"chdb_destroy_query_result\0"),
            shutdown: symbol!(b"chdb_shutdown\0"),
        })
    }
}

/// Ends the process without running destructors: the way out while threads of the engine still run.
pub fn exit_at_once(code: i32) -> ! {
    unsafe extern "C" {
        fn _exit(code: c_int) -> !;
    }
    // SAFETY: `_exit` of the C library ends the process; nothing is touched after.
    unsafe { _exit(code) }
}

/// Bound parameters of a statement: names and values in ClickHouse's escaped text form.
pub type Parameters = [(String, String)];

/// What a text is before it is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Classified {
    /// Statements that would run; 0 when the text does not parse.
    pub statements: u32,
    /// It leaves no trace: SELECT, SHOW, DESCRIBE, EXPLAIN, EXISTS, CHECK.
    pub read_only: bool,
}

/// A connection: one statement at a time, settings of its own.
pub struct Connection {
    library: Arc<Library>,
    raw: NonNull<RawConnection>,
}

// SAFETY: the library allows a connection to be used from any thread, one call at a time; `&mut self`
// and the borrows of `Rows` and `Insertion` see to the latter.
unsafe impl Send for Connection {}

impl Connection {
    fn handle(&self) -> RawConnection {
        // SAFETY: `raw` is valid until `Drop` closes it.
        unsafe { *self.raw.as_ptr() }
    }

    /// Parses `text` without running it.
    ///
    /// # Errors
    /// The connection is not usable.
    pub fn classify(&mut self, text: &[u8]) -> Result<Classified, Exception> {
        let mut analysis = RawAnalysis {
            struct_size: size_of::<RawAnalysis>() as u32,
            ..RawAnalysis::default()
        };
        // SAFETY: pointer and length describe `text`; a null database is allowed; `analysis` has the size
        // that it states.
        let state = unsafe {
            (self.library.functions.classify)(self.handle(), text.as_ptr().cast(), text.len(), std::ptr::null(), 0, &mut analysis)
        };
        if state != SUCCESS {
            return Err(Exception::internal("the engine did not classify the statement"));
        }
        Ok(Classified {
            statements: analysis.statement_count,
            read_only: analysis.query_class == READ_ONLY,
        })
    }

    /// Runs any statement and gives its whole answer in `format`.
    ///
    /// # Errors
    /// What ClickHouse says.
    pub fn query(&mut self, text: &[u8], format: &str, parameters: &Parameters) -> Result<Vec<u8>, Exception> {
        let result = self.call(self.library.functions.query, text, format, parameters);
        result.outcome().map(<[u8]>::to_vec)
    }

    /// Runs a SELECT whose answer comes in pieces.
    ///
    /// # Errors
    /// What ClickHouse says before the first piece: syntax, unknown tables, refused settings. Statements
    /// other than SELECT cannot be streamed.
    pub fn stream(&mut self, text: &[u8], format: &str, parameters: &Parameters) -> Result<Rows<'_>, Exception> {
        let result = self.call(self.library.functions.stream_query, text, format, parameters);
        result.outcome()?;
        Ok(Rows {
            connection: self,
            result,
            ended: false,
        })
    }

    /// Starts an insert of data in `format`; `text` is the statement without FORMAT clause and data.
    ///
    /// # Errors
    /// What ClickHouse says: unknown table or column, read-only connection, unknown format.
    pub fn insert(&mut self, text: &[u8], format: &str, parameters: &Parameters) -> Result<Insertion<'_>, Exception> {
        let raw = self.execute(self.library.functions.stream_insert, text, format, parameters);
        let insertion = Insertion { connection: self, raw };
        match insertion.error() {
            Some(exception) => Err(exception),
            None => Ok(insertion),
        }
    }

    fn call(&self, function: Execute, text: &[u8], format: &str, parameters: &Parameters) -> Outcome {
        Outcome {
            library: Arc::clone(&self.library),
            raw: self.execute(function, text, format, parameters),
        }
    }

    fn execute(&self, function: Execute, text: &[u8], format: &str, parameters: &Parameters) -> *mut c_void {
        let pointers = |part: fn(&(String, String)) -> &String| -> (Vec<*const c_char>, Vec<usize>) {
            parameters
                .iter()
                .map(part)
                .map(|text| (text.as_ptr().cast::<c_char>(), text.len()))
                .unzip()
        };
        let (names, name_lengths) = pointers(|parameter| &parameter.0);
        let (values, value_lengths) = pointers(|parameter| &parameter.1);
        // SAFETY: all three functions of this type take the same arguments; every pointer comes with the
        // length of the buffer that it points to, the four arrays have `parameters.len()` entries, and all
        // of it lives until the call returns.
        unsafe {
            function(
                self.handle(),
                text.as_ptr().cast(),
                text.len(),
                format.as_ptr().cast(),
                format.len(),
                names.as_ptr(),
                name_lengths.as_ptr(),
                values.as_ptr(),
                value_lengths.as_ptr(),
                parameters.len(),
            )
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: `raw` was handed out by `connect` and is closed once.
        unsafe { (self.library.functions.close)(self.raw.as_ptr()) };
    }
}

/// A result of the library, destroyed when dropped.
struct Outcome {
    library: Arc<Library>,
    raw: RawResult,
}

impl Outcome {
    fn outcome(&self) -> Result<&[u8], Exception> {
        if self.raw.is_null() {
            return Err(Exception::internal("the engine gave no result"));
        }
        let functions = &self.library.functions;
        // SAFETY: `raw` is a live result; its error, when not null, is NUL-terminated and lives as long.
        let error = unsafe { (functions.error)(self.raw) };
        if !error.is_null() {
            // SAFETY: as above.
            return Err(Exception::parse(&unsafe { CStr::from_ptr(error) }.to_string_lossy()));
        }
        // SAFETY: buffer and length describe memory that lives until the result is destroyed.
        unsafe {
            let length = (functions.length)(self.raw);
            let buffer = (functions.buffer)(self.raw);
            Ok(if length == 0 || buffer.is_null() {
                &[]
            } else {
                std::slice::from_raw_parts(buffer, length)
            })
        }
    }

    fn rows_written(&self) -> u64 {
        // SAFETY: only called on results that `outcome` found usable.
        unsafe { (self.library.functions.rows_written)(self.raw) }
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        if !self.raw.is_null() {
            // SAFETY: a live result, destroyed once.
            unsafe { (self.library.functions.destroy_result)(self.raw) };
        }
    }
}

/// The answer of a SELECT, piece by piece. Dropping it before its end cancels the query.
pub struct Rows<'connection> {
    connection: &'connection mut Connection,
    result: Outcome,
    ended: bool,
}

impl Rows<'_> {
    /// The next piece, a complete document in the format that was asked for (headers are repeated in
    /// every piece); `None` at the end.
    ///
    /// # Errors
    /// What ClickHouse says in the middle of the query.
    pub fn next_piece(&mut self) -> Result<Option<Vec<u8>>, Exception> {
        if self.ended {
            return Ok(None);
        }
        let functions = &self.connection.library.functions;
        // SAFETY: both handles are live and belong together.
        let raw = unsafe { (functions.fetch)(self.connection.handle(), self.result.raw) };
        let piece = Outcome {
            library: Arc::clone(&self.connection.library),
            raw,
        };
        match piece.outcome() {
            Ok([]) => {
                self.ended = true;
                Ok(None)
            }
            Ok(bytes) => Ok(Some(bytes.to_vec())),
            Err(exception) => {
                self.ended = true;
                Err(exception)
            }
        }
    }
}

impl Drop for Rows<'_> {
    fn drop(&mut self) {
        if !self.ended {
            // SAFETY: both handles are live and belong together.
            unsafe { (self.connection.library.functions.cancel_query)(self.connection.handle(), self.result.raw) };
        }
    }
}

/// An insert in progress. Dropping it before [`Insertion::finish`] cancels it, which does not undo blocks
/// that are already written: give all data before anything is written, as one block.
pub struct Insertion<'connection> {
    connection: &'connection mut Connection,
    raw: RawInsertion,
}

impl Insertion<'_> {
    /// Hands over bytes in the insert's format; they are copied. Blocks while the engine is behind.
    ///
    /// # Errors
    /// What ClickHouse says about the data so far.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), Exception> {
        // SAFETY: a live stream; pointer and length describe `bytes`.
        let state = unsafe { (self.connection.library.functions.append)(self.raw, bytes.as_ptr().cast(), bytes.len()) };
        if state == SUCCESS {
            return Ok(());
        }
        Err(self
            .error()
            .unwrap_or_else(|| Exception::internal("the engine stopped taking data")))
    }

    /// Writes what was handed over and gives the number of rows, those of materialised views included.
    ///
    /// # Errors
    /// What ClickHouse says about the data or the write.
    pub fn finish(self) -> Result<u64, Exception> {
        // SAFETY: a live stream.
        let raw = unsafe { (self.connection.library.functions.done)(self.raw) };
        let result = Outcome {
            library: Arc::clone(&self.connection.library),
            raw,
        };
        result.outcome()?;
        Ok(result.rows_written())
    }

    fn error(&self) -> Option<Exception> {
        if self.raw.is_null() {
            return Some(Exception::internal("the engine did not start the insert"));
        }
        // SAFETY: a live stream; its error, when not null, is NUL-terminated and lives as long.
        let error = unsafe { (self.connection.library.functions.insert_error)(self.raw) };
        // SAFETY: as above.
        (!error.is_null()).then(|| Exception::parse(&unsafe { CStr::from_ptr(error) }.to_string_lossy()))
    }
}

impl Drop for Insertion<'_> {
    fn drop(&mut self) {
        if !self.raw.is_null() {
            // SAFETY: a live stream, destroyed once; the library cancels what was not finished.
            unsafe { (self.connection.library.functions.destroy_insert)(self.raw) };
        }
    }
}
