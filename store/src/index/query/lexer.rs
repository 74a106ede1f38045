//! Cuts a query into tokens, each with its place.

use super::{Piece, QueryError};

/// A token and the characters that it takes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub kind: TokenKind,
    pub at: usize,
    pub length: usize,
}

/// The kinds of tokens.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum TokenKind {
    /// `(`
    Open,
    /// `)`
    Close,
    /// `AND`
    And,
    /// `OR`
    Or,
    /// `NOT`, or `-` or `!` before something.
    Not,
    /// `+`: what follows has to be there, which it has anyway unless one word of many is enough.
    Must,
    /// `name:` directly before a value.
    Field(String),
    /// A word; `prefix` when it ended in `*`. A lone `*` is an empty prefix.
    Word { text: String, prefix: bool },
    /// A word with a `*` in it or in front of it.
    Gapped(Vec<Piece>),
    /// What stood between quotes.
    Phrase(String),
    /// `>`, `>=`, `<` or `<=` with its value.
    Comparison { operator: Operator, value: String },
    /// `[a TO b]`; braces leave an end out, `*` leaves it open.
    Range {
        lower: String,
        lower_included: bool,
        upper: String,
        upper_included: bool,
    },
}

/// Comparison operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Above,
    AtLeast,
    Below,
    AtMost,
}

/// Cuts the whole query.
pub(super) fn tokens(query: &str) -> Result<Vec<Token>, QueryError> {
    let characters: Vec<char> = query.chars().collect();
    let mut lexer = Lexer {
        characters: &characters,
        at: 0,
        after_field: false,
    };
    let mut tokens = Vec::new();
    while let Some(token) = lexer.next()? {
        tokens.push(token);
    }
    Ok(tokens)
}

struct Lexer<'a> {
    characters: &'a [char],
    at: usize,
    /// A value follows a field's colon; only there `>`, `[` and `{` mean something.
    after_field: bool,
}

impl Lexer<'_> {
    fn next(&mut self) -> Result<Option<Token>, QueryError> {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
        let Some(first) = self.peek() else { return Ok(None) };
        let start = self.at;
        let kind = match first {
            '(' => self.single(TokenKind::Open),
            ')' => self.single(TokenKind::Close),
            '"' => self.phrase()?,
            '>' | '<' if self.after_field => self.comparison()?,
            '[' | '{' if self.after_field => self.range()?,
            '-' | '!' if !self.after_field && self.starts_a_clause(self.at + 1) => self.single(TokenKind::Not),
            '+' if !self.after_field && self.starts_a_clause(self.at + 1) => self.single(TokenKind::Must),
            _ => self.word_or_field(),
        };
        self.after_field = matches!(kind, TokenKind::Field(_));
        Ok(Some(Token {
            kind,
            at: start,
            length: self.at - start,
        }))
    }

    fn peek(&self) -> Option<char> {
        self.characters.get(self.at).copied()
    }

    fn single(&mut self, kind: TokenKind) -> TokenKind {
        self.at += 1;
        kind
    }

    fn starts_a_clause(&self, at: usize) -> bool {
        self.characters
            .get(at)
            .is_some_and(|c| c.is_alphanumeric() || matches!(c, '"' | '(' | '_' | '*' | '@'))
    }

    fn error(&self, at: usize, message: impl Into<String>) -> QueryError {
        QueryError {
            message: message.into(),
            at,
            length: (self.characters.len() - at).max(1),
        }
    }

    fn phrase(&mut self) -> Result<TokenKind, QueryError> {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        while let Some(character) = self.peek() {
            self.at += 1;
            match character {
                '"' => return Ok(TokenKind::Phrase(text)),
                '\\' => text.extend(self.take()),
                _ => text.push(character),
            }
        }
        Err(self.error(start, "this quote is not closed: add a second \" at the end of the phrase"))
    }

    fn take(&mut self) -> Option<char> {
        let character = self.peek();
        self.at += usize::from(character.is_some());
        character
    }

    fn comparison(&mut self) -> Result<TokenKind, QueryError> {
        let start = self.at;
        let above = self.take() == Some('>');
        let equal = self.peek() == Some('=');
        self.at += usize::from(equal);
        let operator = match (above, equal) {
            (true, false) => Operator::Above,
            (true, true) => Operator::AtLeast,
            (false, false) => Operator::Below,
            (false, true) => Operator::AtMost,
        };
        let value = text_of(self.word());
        if value.is_empty() {
            return Err(self.error(start, "a number or a time has to follow, as in field:>5"));
        }
        Ok(TokenKind::Comparison { operator, value })
    }

    fn range(&mut self) -> Result<TokenKind, QueryError> {
        let start = self.at;
        let lower_included = self.take() == Some('[');
        let mut inside = String::new();
        loop {
            match self.take() {
                None => return Err(self.error(start, "this range is not closed: write it as [from TO to]")),
                Some(end @ (']' | '}')) => {
                    let upper_included = end == ']';
                    let parts: Vec<&str> = inside.split_whitespace().collect();
                    let [lower, "TO", upper] = parts.as_slice() else {
                        let mut error = self.error(start, "a range is written as [from TO to]; * leaves an end open");
                        error.length = self.at - start;
                        return Err(error);
                    };
                    return Ok(TokenKind::Range {
                        lower: (*lower).to_owned(),
                        lower_included,
                        upper: (*upper).to_owned(),
                        upper_included,
                    });
                }
                Some(character) => inside.push(character),
            }
        }
    }

    fn word_or_field(&mut self) -> TokenKind {
        if !self.after_field
            && let Some(colon) = self.field_colon()
        {
            let name = self.characters[self.at..colon].iter().collect();
            self.at = colon + 1;
            return TokenKind::Field(name);
        }
        let start = self.at;
        let pieces = self.word();
        let written: String = self.characters[start..self.at].iter().collect();
        match written.as_str() {
            "AND" if !self.after_field => TokenKind::And,
            "OR" if !self.after_field => TokenKind::Or,
            "NOT" if !self.after_field => TokenKind::Not,
            _ => match pieces.as_slice() {
                [] => TokenKind::Word {
                    text: String::new(),
                    prefix: false,
                },
                [Piece::Any] => TokenKind::Word {
                    text: String::new(),
                    prefix: true,
                },
                [Piece::Text(text)] => TokenKind::Word {
                    text: text.clone(),
                    prefix: false,
                },
                [Piece::Text(text), Piece::Any] => TokenKind::Word {
                    text: text.clone(),
                    prefix: true,
                },
                _ => TokenKind::Gapped(pieces),
            },
        }
    }

    /// Where the colon stands, if a field's name begins here. A colon that ends a word (`ValueError: bad`) or
    /// begins an address (`http://…`) is punctuation.
    fn field_colon(&self) -> Option<usize> {
        let rest = &self.characters[self.at..];
        if !rest[0].is_alphabetic() && !matches!(rest[0], '_' | '@') {
            return None;
        }
        let length = rest
            .iter()
            .position(|c| !c.is_alphanumeric() && !matches!(c, '_' | '.' | '-' | '@' | '/'))?;
        let value = rest.get(length + 1)?;
        let is_address = rest[length + 1..].starts_with(&['/', '/']);
        (rest[length] == ':' && !value.is_whitespace() && *value != ':' && *value != ')' && !is_address).then_some(self.at + length)
    }

    /// A word up to a blank, bracket or quote; a backslash takes the next character as it is.
    fn word(&mut self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut text = String::new();
        while let Some(character) = self.peek() {
            if character.is_whitespace() || matches!(character, '(' | ')' | '"') {
                break;
            }
            self.at += 1;
            match character {
                '\\' => text.extend(self.take()),
                '*' => {
                    if !text.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut text)));
                    }
                    if pieces.last() != Some(&Piece::Any) {
                        pieces.push(Piece::Any);
                    }
                }
                _ => text.push(character),
            }
        }
        if !text.is_empty() {
            pieces.push(Piece::Text(text));
        }
        pieces
    }
}

/// Where a `*` means itself.
fn text_of(pieces: Vec<Piece>) -> String {
    pieces
        .into_iter()
        .map(|piece| match piece {
            Piece::Text(text) => text,
            Piece::One => "?".to_owned(),
            Piece::Any => "*".to_owned(),
        })
        .collect()
}
