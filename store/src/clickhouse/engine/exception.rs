//! Errors as ClickHouse states them: `Code: 60. DB::Exception: … (UNKNOWN_TABLE)`.

use std::fmt;

/// Codes that the front itself gives, or that callers ask about.
pub mod code {
    /// The query does not parse.
    pub const SYNTAX_ERROR: u32 = 62;
    /// An argument does not make sense.
    pub const BAD_ARGUMENTS: u32 = 36;
    /// Something is not supported.
    pub const NOT_IMPLEMENTED: u32 = 48;
    /// Something that must not happen happened.
    pub const LOGICAL_ERROR: u32 = 49;
    /// Compressed data does not decompress.
    pub const CANNOT_DECOMPRESS: u32 = 271;
    /// Too many queries run already.
    pub const TOO_MANY_SIMULTANEOUS_QUERIES: u32 = 202;
    /// The body is larger than the bound.
    pub const QUERY_IS_TOO_LARGE: u32 = 167;
    /// The password is missing.
    pub const REQUIRED_PASSWORD: u32 = 194;
    /// The password is wrong.
    pub const AUTHENTICATION_FAILED: u32 = 516;
}

/// An error with ClickHouse's code and text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    /// ClickHouse's number of the error.
    pub code: u32,
    /// The whole text, `Code: …` included.
    pub text: String,
}

impl Exception {
    /// An error of the front, in ClickHouse's form.
    pub fn new(code: u32, name: &str, message: impl fmt::Display) -> Self {
        Self {
            code,
            text: format!("Code: {code}. DB::Exception: {message}. ({name})"),
        }
    }

    /// An error that should not happen.
    pub fn internal(message: &str) -> Self {
        Self::new(code::LOGICAL_ERROR, "LOGICAL_ERROR", message)
    }

    /// Reads the code from the engine's text; 1002 (unknown) when it has none.
    pub fn parse(text: &str) -> Self {
        let code = code_in(text).unwrap_or(1002);
        Self {
            code,
            text: text.trim_end().to_owned(),
        }
    }

    /// The HTTP status that ClickHouse answers with for this code
    /// (`exceptionCodeToHTTPStatus` of its HTTP handler).
    pub fn http_status(&self) -> u16 {
        match self.code {
            194 => 401,
            192 | 193 | 497 | 516 => 403,
            6 | 26 | 27 | 36 | 38 | 41 | 53 | 62 | 72 | 117 | 121 | 122 | 271 | 321 | 348 | 457 => 400,
            16 | 20 | 43 | 46 | 47 | 50 | 56 | 60 | 63 | 73 | 76 | 81 | 115 | 255 => 404,
            159 => 408,
            167 => 413,
            48 => 501,
            209 | 439 => 503,
            _ => 500,
        }
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Exception {}

/// The number after `Code: ` in an error text.
pub fn code_in(text: &str) -> Option<u32> {
    let rest = &text[text.find("Code: ")? + "Code: ".len()..];
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_read_from_the_text() {
        let exception = Exception::parse("Code: 60. DB::Exception: Table default.x does not exist. (UNKNOWN_TABLE)\n");
        assert_eq!((exception.code, exception.http_status()), (60, 404));
        assert_eq!(Exception::parse("out of ideas").code, 1002);
    }
}
