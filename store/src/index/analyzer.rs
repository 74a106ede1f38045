//! How texts become words: one analyzer for indexing, for queries and for highlights.

use tantivy::tokenizer::{LowerCaser, RemoveLongFilter, SimpleTokenizer, TextAnalyzer};

/// The analyzer's name in the schema.
pub(super) const ANALYZER: &str = "words";

/// Longest word that is kept, in bytes: longer than any hash or id, shorter than an encoded file.
const MAX_WORD_BYTES: usize = 256;

/// Runs of letters and digits, in lower case. `my_key=3` is three words.
pub(super) fn analyzer() -> TextAnalyzer {
    TextAnalyzer::builder(SimpleTokenizer::default())
        .filter(RemoveLongFilter::limit(MAX_WORD_BYTES))
        .filter(LowerCaser)
        .build()
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
