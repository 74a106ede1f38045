//! How texts become words: one analyzer for indexing, for queries and for highlights.

use tantivy::tokenizer::{TextAnalyzer, Token, TokenStream, Tokenizer};

/// The analyzer's name in the schema.
pub(super) const ANALYZER: &str = "words";

/// Words as long as this, in bytes, are left out: any hash or id is shorter, an encoded file is not.
const MAX_WORD_BYTES: usize = 256;

/// Runs of letters and digits, in lower case. `my_key=3` is three words.
pub(super) fn analyzer() -> TextAnalyzer {
    TextAnalyzer::builder(Words::default()).build()
}

/// Finds words, cuts them and lowers their case in one pass: every byte of every error comes through here.
#[derive(Debug, Clone, Default)]
struct Words {
    token: Token,
}

struct WordStream<'a> {
    text: &'a str,
    /// Bytes that are read.
    at: usize,
    token: &'a mut Token,
}

impl Tokenizer for Words {
    type TokenStream<'a> = WordStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> WordStream<'a> {
        self.token.reset();
        WordStream {
            text,
            at: 0,
            token: &mut self.token,
        }
    }
}

impl TokenStream for WordStream<'_> {
    fn advance(&mut self) -> bool {
        while self.skip() {
            let from = self.at;
            self.token.position = self.token.position.wrapping_add(1);
            self.token.text.clear();
            self.read();
            if self.at - from < MAX_WORD_BYTES {
                self.token.offset_from = from;
                self.token.offset_to = self.at;
                return true;
            }
        }
        false
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}

/// What a byte is. Bits, so that what a word holds is known when its end is found.
mod class {
    /// A letter or a digit of ASCII.
    pub const WORD: u8 = 1;
    /// A capital letter of ASCII.
    pub const CAPITAL: u8 = 2;
    /// Part of a character that is not of ASCII.
    pub const OTHER: u8 = 4;

    /// By byte; 0 is what stands between words.
    pub const OF: [u8; 256] = {
        let mut of = [0; 256];
        let mut byte = 0;
        while byte < 256 {
            of[byte] = match byte as u8 {
                b'0'..=b'9' | b'a'..=b'z' => WORD,
                b'A'..=b'Z' => WORD | CAPITAL,
                128.. => OTHER,
                _ => 0,
            };
            byte += 1;
        }
        of
    };
}

impl WordStream<'_> {
    /// What the byte at a place is; nothing at the end.
    fn class(&self, at: usize) -> u8 {
        self.text.as_bytes().get(at).map_or(0, |byte| class::OF[usize::from(*byte)])
    }

    /// The character at a place where a part of one that is not of ASCII begins.
    fn other(&self, at: usize) -> Option<char> {
        self.text[at..].chars().next()
    }

    /// Goes to the next word; whether there is one.
    fn skip(&mut self) -> bool {
        let mut at = self.at;
        while at < self.text.len() {
            let class = self.class(at);
            let other = if class == class::OTHER { self.other(at) } else { None };
            if class & class::WORD != 0 || other.is_some_and(char::is_alphanumeric) {
                self.at = at;
                return true;
            }
            at += other.map_or(1, char::len_utf8);
        }
        self.at = at;
        false
    }

    /// Reads the word that begins here.
    fn read(&mut self) {
        loop {
            let from = self.at;
            let (mut end, mut held) = (from, 0);
            let mut class = self.class(end);
            while class & class::WORD != 0 {
                held |= class;
                end += 1;
                class = self.class(end);
            }
            self.at = end;
            let read = self.token.text.len();
            self.token.text.push_str(&self.text[from..end]);
            if held & class::CAPITAL != 0 {
                self.token.text[read..].make_ascii_lowercase();
            }
            let other = if class == class::OTHER { self.other(end) } else { None };
            let Some(letter) = other.filter(|c| c.is_alphanumeric()) else {
                return;
            };
            self.token.text.extend(letter.to_lowercase());
            self.at += letter.len_utf8();
        }
    }
}

/// A word of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    /// In lower case.
    pub text: String,
    /// Which word it is; words that are too long count but are left out.
    pub position: usize,
    /// Where it begins, in bytes.
    pub from: usize,
    /// Where it ends, in bytes.
    pub to: usize,
}

/// All words with their places.
pub(super) fn placed_words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut analyzer = analyzer();
    let mut stream = analyzer.token_stream(text);
    while let Some(token) = stream.next() {
        words.push(Word {
            text: token.text.clone(),
            position: token.position,
            from: token.offset_from,
            to: token.offset_to,
        });
    }
    words
}

/// The words of a text as the index has them: runs of letters and digits, in lower case.
pub fn words_of(text: &str) -> Vec<String> {
    placed_words(text).into_iter().map(|word| word.text).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tantivy::tokenizer::{LowerCaser, RemoveLongFilter, SimpleTokenizer};

    use super::*;

    fn tokens(mut analyzer: TextAnalyzer, text: &str) -> Vec<Token> {
        let mut tokens = Vec::new();
        analyzer.token_stream(text).process(&mut |token| tokens.push(token.clone()));
        tokens
    }

    /// The same by tantivy's own parts.
    fn slow() -> TextAnalyzer {
        TextAnalyzer::builder(SimpleTokenizer::default())
            .filter(RemoveLongFilter::limit(MAX_WORD_BYTES))
            .filter(LowerCaser)
            .build()
    }

    #[test]
    fn words_are_runs_of_letters_and_digits_of_any_script() {
        assert_eq!(
            words_of("my_key=3 Zeitüberschreitung: ΣΑΣ, İx 名前-9"),
            ["my", "key", "3", "zeitüberschreitung", "σασ", "i\u{307}x", "名前", "9"]
        );
        assert_eq!(words_of(""), Vec::<String>::new());
        // A word that is left out counts: what stands around it is no phrase.
        let long = placed_words(&format!("a {} b", "x".repeat(MAX_WORD_BYTES)));
        assert_eq!(long.iter().map(|word| word.position).collect::<Vec<_>>(), [0, 2]);
    }

    proptest! {
        #[test]
        fn words_are_those_of_tantivys_own_tokenizer(text in "(?s)(.{0,20}|[aÄ_ -]{0,20}|x{250,260}|ü{125,130}){0,4}") {
            prop_assert_eq!(tokens(analyzer(), &text), tokens(slow(), &text));
        }
    }
}
