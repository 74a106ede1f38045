//! Finds out how a request's text has to be handed to the engine: an insert with data goes through an
//! insert stream, its statement without FORMAT clause and data; everything else is one text.
//!
//! This is a scanner, not a parser: it skips strings, quoted names and comments and looks at bare words.
//! Whether a text is one valid statement is the engine's to say.

use bytes::Bytes;

/// A request's text, cut where the engine wants it cut.
#[derive(Debug, Clone, PartialEq)]
pub enum Statement {
    /// An INSERT whose data comes with the request.
    Insert {
        /// Up to, and without, the FORMAT clause or the word VALUES.
        head: Bytes,
        /// Input format of the data.
        format: String,
        /// The data, in order.
        data: Vec<Bytes>,
    },
    /// Anything else, INSERT … SELECT included.
    Other {
        /// The whole text.
        text: Bytes,
        /// The format that the text itself asks for.
        format: Option<String>,
    },
}

impl Statement {
    /// Cuts the text of the URL's `query` and the body, which ClickHouse reads as one text with a line
    /// break between.
    pub fn new(url_query: &str, body: Bytes) -> Self {
        let query = Bytes::copy_from_slice(url_query.as_bytes());
        if let Some(insert) = Insert::find(&query) {
            let data = [query.slice(insert.data_start..), body]
                .into_iter()
                .filter(|part| !part.is_empty())
                .collect();
            return Self::Insert {
                head: query.slice(..insert.head_end),
                format: insert.format,
                data,
            };
        }
        let text = match (query.is_empty(), body.is_empty()) {
            (true, _) => body,
            (false, true) => query,
            (false, false) => [query.as_ref(), b"\n", body.as_ref()].concat().into(),
        };
        if let Some(insert) = Insert::find(&text) {
            let data = text.slice(insert.data_start..);
            return Self::Insert {
                head: text.slice(..insert.head_end),
                format: insert.format,
                data: vec![data],
            };
        }
        let format = format_of(&text);
        Self::Other { text, format }
    }
}

/// Where the parts of an INSERT with data lie in its text.
struct Insert {
    head_end: usize,
    format: String,
    data_start: usize,
}

impl Insert {
    fn find(text: &[u8]) -> Option<Self> {
        let mut tokens = Tokens::new(text);
        if !tokens.next()?.is_word("INSERT") {
            return None;
        }
        while let Some(token) = tokens.next() {
            if token.depth > 0 {
                continue;
            }
            if token.is_word("VALUES") {
                return Some(Self {
                    head_end: token.start,
                    format: "Values".to_owned(),
                    data_start: token.end,
                });
            }
            if token.is_word("FORMAT") {
                let format = tokens.next()?;
                let name = format.word()?.to_owned();
                return Some(Self {
                    head_end: token.start,
                    format: name,
                    data_start: data_start(text, format.end),
                });
            }
            if token.is_word("SELECT") || token.is_word("WITH") || token.is_word("WATCH") || token.bytes == b";" {
                return None;
            }
        }
        None
    }
}

/// ClickHouse skips blanks after the name of the format, and one line break.
fn data_start(text: &[u8], format_end: usize) -> usize {
    let mut at = format_end;
    while at < text.len() && matches!(text[at], b' ' | b'\t' | b'\r' | b';') {
        at += 1;
    }
    if text.get(at) == Some(&b'\n') { at + 1 } else { at }
}

/// The first word or sign of a text, comments left out.
pub fn first_word(text: &[u8]) -> &[u8] {
    Tokens::new(text).next().map_or(&[], |token| token.bytes)
}

/// The format that a statement ends with: `… FORMAT name`, before SETTINGS or a semicolon.
fn format_of(text: &[u8]) -> Option<String> {
    let mut found = None;
    let mut before: Option<Token<'_>> = None;
    let mut in_settings = false;
    for token in Tokens::new(text).filter(|token| token.depth == 0) {
        if token.is_word("SETTINGS") {
            in_settings = true;
        } else if before.as_ref().is_some_and(|before| before.is_word("FORMAT")) && token.word().is_some() {
            found = token.word().map(str::to_owned);
        } else if !in_settings && token.bytes != b";" {
            found = None;
        }
        before = Some(token);
    }
    found
}

/// A bare word, a quoted piece or a sign.
struct Token<'text> {
    bytes: &'text [u8],
    start: usize,
    end: usize,
    /// Brackets around it.
    depth: usize,
}

impl<'text> Token<'text> {
    fn word(&self) -> Option<&'text str> {
        let first = *self.bytes.first()?;
        (first.is_ascii_alphabetic() || first == b'_')
            .then(|| std::str::from_utf8(self.bytes).ok())
            .flatten()
    }

    fn is_word(&self, word: &str) -> bool {
        self.bytes.eq_ignore_ascii_case(word.as_bytes())
    }
}

struct Tokens<'text> {
    text: &'text [u8],
    at: usize,
    depth: usize,
}

impl<'text> Tokens<'text> {
    fn new(text: &'text [u8]) -> Self {
        Self { text, at: 0, depth: 0 }
    }

    /// Moves past blanks and comments.
    fn skip_blanks(&mut self) {
        loop {
            let rest = &self.text[self.at..];
            let length = match rest {
                [first, ..] if first.is_ascii_whitespace() => 1,
                [b'-', b'-', ..] | [b'#', b' ' | b'!', ..] => rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len()),
                [b'/', b'*', ..] => rest
                    .windows(2)
                    .skip(2)
                    .position(|pair| pair == b"*/")
                    .map_or(rest.len(), |at| at + 4),
                _ => return,
            };
            self.at += length;
        }
    }

    /// Length of the token at the front of `rest`, which is not empty.
    fn length(rest: &[u8]) -> usize {
        match rest[0] {
            quote @ (b'\'' | b'"' | b'`') => quoted_length(rest, quote),
            b'$' => heredoc_length(rest),
            first if first.is_ascii_alphanumeric() || first == b'_' => rest
                .iter()
                .position(|&b| !(b.is_ascii_alphanumeric() || b == b'_'))
                .unwrap_or(rest.len()),
            _ => 1,
        }
    }
}

impl<'text> Iterator for Tokens<'text> {
    type Item = Token<'text>;

    fn next(&mut self) -> Option<Token<'text>> {
        self.skip_blanks();
        let rest = &self.text[self.at..];
        if rest.is_empty() {
            return None;
        }
        let (start, length) = (self.at, Self::length(rest));
        self.at += length;
        let bytes = &rest[..length];
        if matches!(bytes, b")" | b"]" | b"}") {
            self.depth = self.depth.saturating_sub(1);
        }
        let token = Token {
            bytes,
            start,
            end: self.at,
            depth: self.depth,
        };
        if matches!(bytes, b"(" | b"[" | b"{") {
            self.depth += 1;
        }
        Some(token)
    }
}

fn quoted_length(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            byte if byte == quote && rest.get(at + 1) == Some(&quote) => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

fn heredoc_length(rest: &[u8]) -> usize {
    let tag = rest
        .iter()
        .skip(1)
        .position(|&b| !(b.is_ascii_alphanumeric() || b == b'_'))
        .map(|at| at + 1);
    let Some(tag_end) = tag.filter(|&at| rest[at] == b'$') else {
        return 1;
    };
    let tag = &rest[..=tag_end];
    let body = &rest[tag.len()..];
    body.windows(tag.len())
        .position(|window| window == tag)
        .map_or(rest.len(), |at| at + 2 * tag.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_insert(url: &str, body: &str, head: &str, format: &str, data: &str) {
        match Statement::new(url, Bytes::copy_from_slice(body.as_bytes())) {
            Statement::Insert {
                head: found,
                format: found_format,
                data: found_data,
            } => {
                assert_eq!(std::str::from_utf8(&found).unwrap().trim_end(), head);
                assert_eq!(found_format, format);
                assert_eq!(String::from_utf8(found_data.concat()).unwrap(), data);
            }
            other => panic!("{url:?} {body:?} is not an insert: {other:?}"),
        }
    }

    #[test]
    fn inserts_are_cut_before_their_format() {
        check_insert(
            "INSERT INTO `t`(`a`) FORMAT RowBinary",
            "\u{1}\u{2}",
            "INSERT INTO `t`(`a`)",
            "RowBinary",
            "\u{1}\u{2}",
        );
        check_insert(
            "",
            "insert into t values (1), ('FORMAT x')",
            "insert into t",
            "Values",
            " (1), ('FORMAT x')",
        );
        check_insert(
            "",
            "INSERT INTO t FORMAT JSONEachRow\n{\"a\":1}",
            "INSERT INTO t",
            "JSONEachRow",
            "{\"a\":1}",
        );
        check_insert("INSERT INTO t (a)", "FORMAT CSV\n1\n2\n", "INSERT INTO t (a)", "CSV", "1\n2\n");
        check_insert(
            "-- why\nINSERT INTO \"values\" SETTINGS a = 1 FORMAT CSV",
            "1",
            "-- why\nINSERT INTO \"values\" SETTINGS a = 1",
            "CSV",
            "1",
        );
        check_insert(
            "/* FORMAT x */ INSERT INTO t VALUES",
            "(1)",
            "/* FORMAT x */ INSERT INTO t",
            "Values",
            "(1)",
        );
    }

    fn check_other(text: &str, format: Option<&str>) {
        let statement = Statement::new("", Bytes::copy_from_slice(text.as_bytes()));
        assert_eq!(
            statement,
            Statement::Other {
                text: Bytes::copy_from_slice(text.as_bytes()),
                format: format.map(str::to_owned)
            },
            "{text}"
        );
    }

    #[test]
    fn everything_else_stays_whole_and_says_its_format() {
        check_other("SELECT 1", None);
        check_other("SELECT 1 FORMAT JSON", Some("JSON"));
        check_other("SELECT 1 FORMAT JSON;", Some("JSON"));
        check_other("SELECT 1 FORMAT JSON SETTINGS max_threads = 1", Some("JSON"));
        check_other("SELECT 1 SETTINGS max_threads = 1 FORMAT CSV", Some("CSV"));
        check_other("SELECT 'a FORMAT JSON'", None);
        check_other("SELECT format FROM t", None);
        check_other("SELECT x FROM t WHERE $q$ FORMAT CSV$q$ = y", None);
        check_other("INSERT INTO t SELECT 1 FORMAT CSV", Some("CSV"));
        check_other("INSERT INTO t; DROP TABLE t FORMAT CSV", Some("CSV"));
        check_other("", None);
        check_other("'unclosed \\", None);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_scanner_panic(text in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..60)) {
            let _ = Statement::new("", Bytes::from(text));
        }

        #[test]
        fn no_sql_like_text_makes_the_scanner_panic(text in "(INSERT |INTO |FORMAT |VALUES|'|`|\"|\\$a\\$|--|/\\*|\\*/|\\\\|\\(|\\)|;|\n| ){0,20}") {
            let _ = Statement::new(&text, Bytes::new());
        }
    }
}
