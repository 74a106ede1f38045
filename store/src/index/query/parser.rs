//! From tokens to an [`Expression`], by recursive descent: `or` of `and` of clauses.

use std::ops::Bound;

use super::expression::{Expression, Field, Keyword, Number, Text};
use super::lexer::{Operator, Token, TokenKind, tokens};
use super::relative::instant;
use super::shape::{Piece, Shape};
use super::{MAX_CLAUSES, MAX_DEPTH, MAX_QUERY_BYTES, QueryError};
use crate::clock::UnixNanos;
use crate::index::analyzer::words_of;

/// What words next to each other mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joins {
    /// All of them.
    And,
    /// One of them is enough; those with `+` have to be there, those with `-` must not.
    Or,
}

/// Parses what a person typed at this instant. Blank text is [`Expression::All`].
///
/// # Errors
/// Where it is wrong, and what to write instead.
pub fn parse(query: &str, now: UnixNanos) -> Result<Expression, QueryError> {
    parse_joined(query, Joins::And, now)
}

/// Parses, with words next to each other meaning what is said.
///
/// # Errors
/// As [`parse`].
pub fn parse_joined(query: &str, joins: Joins, now: UnixNanos) -> Result<Expression, QueryError> {
    if query.len() > MAX_QUERY_BYTES {
        return Err(QueryError {
            message: format!("the query is longer than {MAX_QUERY_BYTES} bytes: search for a part of it"),
            at: 0,
            length: query.chars().count(),
        });
    }
    let tokens = tokens(query)?;
    if tokens.is_empty() {
        return Ok(Expression::All);
    }
    let mut parser = Parser {
        tokens: &tokens,
        at: 0,
        clauses: 0,
        joins,
        now,
        end: query.chars().count(),
    };
    let expression = parser.any(None, 0)?;
    match parser.peek() {
        Some(token) => Err(error(token, "there is no ( that this ) closes")),
        None => expression.ok_or_else(|| QueryError {
            message: "there is nothing to search for: words have letters or digits".into(),
            at: 0,
            length: parser.end.max(1),
        }),
    }
}

fn error(token: &Token, message: impl Into<String>) -> QueryError {
    QueryError {
        message: message.into(),
        at: token.at,
        length: token.length.max(1),
    }
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    clauses: usize,
    joins: Joins,
    now: UnixNanos,
    end: usize,
}

/// What punctuation alone becomes: nothing, so that a pasted text can be searched as it is.
type Clause = Option<Expression>;

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.at)
    }

    fn next_is(&mut self, kind: &TokenKind) -> bool {
        let found = self.peek().is_some_and(|token| token.kind == *kind);
        self.at += usize::from(found);
        found
    }

    fn any(&mut self, field: Option<&Field>, depth: usize) -> Result<Clause, QueryError> {
        match self.joins {
            Joins::And => self.alternatives(field, depth),
            Joins::Or => self.optional(field, depth),
        }
    }

    /// `a +b -c d AND e …`, where one is enough of those without a sign.
    fn optional(&mut self, field: Option<&Field>, depth: usize) -> Result<Clause, QueryError> {
        let (mut enough, mut needed) = (Vec::new(), Vec::new());
        loop {
            let is_needed = matches!(self.peek().map(|token| &token.kind), Some(TokenKind::Must | TokenKind::Not));
            let clause = self.all(field, depth)?;
            if is_needed { &mut needed } else { &mut enough }.push(clause);
            match self.peek().map(|token| &token.kind) {
                None | Some(TokenKind::Close) => break,
                Some(TokenKind::Or) => self.at += 1,
                Some(_) => {}
            }
        }
        let is_there = needed.iter().flatten().any(|clause| !matches!(clause, Expression::Not(_)));
        if !is_there {
            needed.push(join(enough, Expression::Or));
        }
        Ok(join(needed, Expression::And))
    }

    /// `a OR b OR …`
    fn alternatives(&mut self, field: Option<&Field>, depth: usize) -> Result<Clause, QueryError> {
        let mut parts = vec![self.all(field, depth)?];
        while self.next_is(&TokenKind::Or) {
            parts.push(self.all(field, depth)?);
        }
        Ok(join(parts, Expression::Or))
    }

    /// `a b AND c …`
    fn all(&mut self, field: Option<&Field>, depth: usize) -> Result<Clause, QueryError> {
        let mut parts = vec![self.not(field, depth)?];
        loop {
            if self.next_is(&TokenKind::And) {
                parts.push(self.not(field, depth)?);
                continue;
            }
            match self.peek().map(|token| &token.kind) {
                None | Some(TokenKind::Close | TokenKind::Or) => return Ok(join(parts, Expression::And)),
                Some(_) if self.joins == Joins::Or => return Ok(join(parts, Expression::And)),
                Some(_) => parts.push(self.not(field, depth)?),
            }
        }
    }

    fn not(&mut self, field: Option<&Field>, depth: usize) -> Result<Clause, QueryError> {
        let mut negative = false;
        loop {
            if self.next_is(&TokenKind::Not) {
                negative = !negative;
            } else if !self.next_is(&TokenKind::Must) {
                break;
            }
        }
        let clause = self.clause(field, depth)?;
        Ok(clause.map(|expression| match negative {
            true => Expression::Not(Box::new(expression)),
            false => expression,
        }))
    }

    fn clause(&mut self, field: Option<&Field>, depth: usize) -> Result<Clause, QueryError> {
        let Some(token) = self.peek() else {
            return Err(QueryError {
                message: "something to search for has to follow here".into(),
                at: self.end,
                length: 1,
            });
        };
        self.at += 1;
        match &token.kind {
            TokenKind::Open => self.group(token, field, depth),
            TokenKind::Field(_) if field.is_some() => Err(error(token, "a field inside of field:( … ) is not possible")),
            TokenKind::Field(name) if name == "_exists_" => self.named_to_exist(),
            TokenKind::Field(name) => match Field::named(name) {
                Field::Attribute(path) if path.is_empty() => Err(error(token, "name an attribute, as in attributes.http.route:x")),
                field => self.clause(Some(&field), depth),
            },
            TokenKind::Close | TokenKind::And | TokenKind::Or | TokenKind::Not | TokenKind::Must => {
                Err(error(token, "something to search for has to stand before this"))
            }
            _ => self.leaf(token, field),
        }
    }

    /// `_exists_:field`, as Lucene writes `field:*`.
    fn named_to_exist(&mut self) -> Result<Clause, QueryError> {
        match self.peek() {
            Some(
                token @ Token {
                    kind: TokenKind::Word { text: name, prefix: false } | TokenKind::Phrase(name),
                    ..
                },
            ) if !name.is_empty() => {
                self.at += 1;
                has(token, Some(&Field::named(name))).map(Some)
            }
            other => Err(QueryError {
                message: "the name of a field has to follow, as in _exists_:trace_id".into(),
                at: other.map_or(self.end, |token| token.at),
                length: 1,
            }),
        }
    }

    fn group(&mut self, open: &Token, field: Option<&Field>, depth: usize) -> Result<Clause, QueryError> {
        if depth == MAX_DEPTH {
            return Err(error(open, format!("brackets are nested more than {MAX_DEPTH} deep")));
        }
        let inner = self.any(field, depth + 1)?;
        if !self.next_is(&TokenKind::Close) {
            return Err(error(open, "this bracket is not closed: add a )"));
        }
        Ok(inner)
    }

    fn leaf(&mut self, token: &'a Token, field: Option<&Field>) -> Result<Clause, QueryError> {
        self.clauses += 1;
        if self.clauses > MAX_CLAUSES {
            return Err(error(token, format!("there are more than {MAX_CLAUSES} words and clauses")));
        }
        match (&token.kind, field) {
            (TokenKind::Word { text, prefix: true }, _) if text.is_empty() => has(token, field).map(Some),
            (TokenKind::Word { text, prefix }, _) => value(token, field, text, *prefix),
            (TokenKind::Gapped(pieces), _) => gapped(token, field, pieces),
            (TokenKind::Phrase(text), _) => value(token, field, text, false),
            (TokenKind::Comparison { operator, value }, Some(field)) => {
                let end = |included| {
                    Some(End {
                        token,
                        text: value,
                        included,
                        now: self.now,
                    })
                };
                match operator {
                    Operator::Above => between(token, field, end(false), None),
                    Operator::AtLeast => between(token, field, end(true), None),
                    Operator::Below => between(token, field, None, end(false)),
                    Operator::AtMost => between(token, field, None, end(true)),
                }
                .map(Some)
            }
            (
                TokenKind::Range {
                    lower,
                    lower_included,
                    upper,
                    upper_included,
                },
                Some(field),
            ) => {
                let end = |text: &'a str, included| {
                    (text != "*").then_some(End {
                        token,
                        text,
                        included,
                        now: self.now,
                    })
                };
                between(token, field, end(lower, *lower_included), end(upper, *upper_included)).map(Some)
            }
            _ => Err(error(token, "something to search for has to stand here")),
        }
    }
}

fn join(parts: Vec<Clause>, how: fn(Vec<Expression>) -> Expression) -> Clause {
    let mut parts: Vec<Expression> = parts.into_iter().flatten().collect();
    match parts.len() {
        0 | 1 => parts.pop(),
        _ => Some(how(parts)),
    }
}

/// `*` and `field:*`.
fn has(token: &Token, field: Option<&Field>) -> Result<Expression, QueryError> {
    Ok(match field {
        None | Some(Field::Time | Field::Text(Text::Message)) => Expression::All,
        Some(Field::Keyword(keyword)) => Expression::HasKeyword(*keyword),
        Some(Field::Attribute(path)) => Expression::HasAttribute(path.clone()),
        Some(Field::Text(Text::Stack)) => return Err(error(token, "stack:* is not possible: search for a word of the stack")),
    })
}

fn value(token: &Token, field: Option<&Field>, text: &str, prefix: bool) -> Result<Clause, QueryError> {
    let words = |field: Option<Text>| {
        let words = words_of(text);
        Ok((!words.is_empty()).then_some(Expression::Text { field, words, prefix }))
    };
    match field {
        None => words(None),
        Some(Field::Text(field)) => words(Some(*field)),
        Some(Field::Keyword(keyword)) => Ok(Some(keyword_value(*keyword, text, prefix))),
        Some(Field::Attribute(_)) if prefix => {
            let pieces = [Piece::Text(text.to_owned()), Piece::Any];
            gapped(token, field, &pieces)
        }
        Some(Field::Attribute(path)) => Ok(Some(Expression::Attribute {
            path: path.clone(),
            value: text.to_owned(),
        })),
        Some(Field::Time) => Err(error(
            token,
            "time takes a range, as in time:>now-15m, time:>2026-10-05 or time:[2026-10-05T14:00:00Z TO *]",
        )),
    }
}

/// A word or a name with gaps. In a text a `*` amid punctuation is punctuation, too, so that a pattern can be pasted.
fn gapped(token: &Token, field: Option<&Field>, pieces: &[Piece]) -> Result<Clause, QueryError> {
    let is_word = |text: &String| text.chars().all(char::is_alphanumeric);
    let is_whole = pieces.iter().all(|piece| !matches!(piece, Piece::Text(text) if !is_word(text)));
    let in_text = match field {
        None => Some(None),
        Some(Field::Text(text)) => Some(Some(*text)),
        Some(_) => None,
    };
    if let (Some(field), false) = (in_text, is_whole) {
        let between = |piece: &Piece| match piece {
            Piece::Text(text) => Some(words_of(text)).filter(|words| !words.is_empty()),
            Piece::One | Piece::Any => None,
        };
        let prefix = false;
        let parts = pieces.iter().filter_map(between);
        return Ok(join(
            parts.map(|words| Some(Expression::Text { field, words, prefix })).collect(),
            Expression::And,
        ));
    }
    let normal = |text: &String| match field {
        Some(Field::Keyword(keyword)) => Ok(keyword.normal(text)),
        Some(Field::Time) => Err(error(token, "time takes a range, as in time:>now-15m")),
        None | Some(Field::Text(_) | Field::Attribute(_)) if is_word(text) => Ok(text.to_lowercase()),
        _ => Err(error(
            token,
            "a * works within one word of letters and digits: put what stands beside it into words of their own, or into quotes",
        )),
    };
    let mut shape = Vec::with_capacity(pieces.len());
    for piece in pieces {
        shape.push(match piece {
            Piece::Text(text) => Piece::Text(normal(text)?),
            gap => gap.clone(),
        });
    }
    Ok(Some(Expression::Fits {
        field: field.cloned(),
        shape: Shape::new(shape).map_err(|message| error(token, message))?,
    }))
}

fn keyword_value(field: Keyword, text: &str, prefix: bool) -> Expression {
    Expression::Keyword {
        field,
        value: field.normal(text),
        prefix,
    }
}

struct End<'a> {
    token: &'a Token,
    text: &'a str,
    included: bool,
    now: UnixNanos,
}

impl<'a> End<'a> {
    fn bound<T>(&self, read: impl Fn(&End<'a>) -> Result<T, QueryError>) -> Result<Bound<T>, QueryError> {
        let value = read(self)?;
        Ok(match self.included {
            true => Bound::Included(value),
            false => Bound::Excluded(value),
        })
    }

    fn time(&self) -> Result<UnixNanos, QueryError> {
        instant(self.text, self.now).ok_or_else(|| {
            let text = self.text;
            error(
                self.token,
                format!("{text:?} is not a time: write 2026-10-05, 2026-10-05T14:00:00Z, now or now-15m (s, m, h, d, w)"),
            )
        })
    }

    fn number(&self) -> Result<Number, QueryError> {
        Number::parse(self.text).ok_or_else(|| {
            let text = self.text;
            error(
                self.token,
                format!("{text:?} is not a number: ranges work on time and on attributes that are numbers"),
            )
        })
    }
}

fn bound<'a, T>(end: Option<&End<'a>>, read: impl Fn(&End<'a>) -> Result<T, QueryError>) -> Result<Bound<T>, QueryError> {
    end.map_or(Ok(Bound::Unbounded), |end| end.bound(read))
}

fn between(token: &Token, field: &Field, lower: Option<End<'_>>, upper: Option<End<'_>>) -> Result<Expression, QueryError> {
    let (lower, upper) = (lower.as_ref(), upper.as_ref());
    match field {
        _ if lower.is_none() && upper.is_none() => has(token, Some(field)),
        Field::Time => Ok(Expression::Time(bound(lower, End::time)?, bound(upper, End::time)?)),
        Field::Attribute(path) => Ok(Expression::Numbers {
            path: path.clone(),
            lower: bound(lower, End::number)?,
            upper: bound(upper, End::number)?,
        }),
        Field::Keyword(_) | Field::Text(_) => Err(error(
            token,
            "a range works on time and on attributes that are numbers, not on this field",
        )),
    }
}
