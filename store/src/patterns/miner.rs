//! Gives each message its pattern, and learns patterns from messages.

use std::collections::HashMap;
use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3;

use super::mask::{GAP, mask_word};
use super::{PatternId, Template};

/// A gap that was learnt, in a template.
const LEARNT_GAP: Word = 0;
/// A word of a message that no template has.
const UNKNOWN: Word = 1;
/// First number of a word.
const FIRST_WORD: Word = 2;
/// Share of its words that a message has in common with its template at the least; Drain's own default.
const LEAST_SIMILARITY: f64 = 0.4;
/// Beginnings that are told apart among templates of one length; messages that begin otherwise share one leaf. Drain's own default.
const MAX_BEGINNINGS: usize = 100;
/// Words of a message that are looked at; what comes after them is left out of its pattern.
const MAX_WORDS: usize = 128;
/// Bytes of a message that are looked at.
const MAX_BYTES: usize = 8 << 10;
/// First line of Python's stack traces, which say at their end what happened.
const TRACEBACK: &str = "Traceback (most recent call last)";

/// A word by its number in the dictionary.
type Word = u32;

/// How much a miner keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MinerLimits {
    /// Patterns that are known at once. Beyond it those that were met the longest ago are forgotten, a tenth at a time; the
    /// first message of one that comes back gives it its id again.
    pub max_patterns: usize,
}

impl Default for MinerLimits {
    fn default() -> Self {
        Self { max_patterns: 20_000 }
    }
}

/// What a message was taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// A pattern that is known, and as it was.
    Known(PatternId),
    /// A pattern whose template has learnt a gap from this message.
    Widened(PatternId),
    /// The first message of a pattern.
    New(PatternId),
}

impl Taken {
    /// The pattern.
    pub fn id(self) -> PatternId {
        match self {
            Self::Known(id) | Self::Widened(id) | Self::New(id) => id,
        }
    }
}

#[derive(Debug, Clone)]
struct Pattern {
    id: PatternId,
    words: Vec<Word>,
    /// Number of the last message that it took.
    used: u64,
}

/// The words of all templates.
#[derive(Debug, Default)]
struct Dictionary {
    numbers: HashMap<Arc<str>, Word>,
    /// The word with number `n` is the one at `n - FIRST_WORD`.
    texts: Vec<Arc<str>>,
}

/// Templates in order of their length and beginning.
#[derive(Debug, Default)]
struct Leaves {
    /// By number of words and first word ([`LEARNT_GAP`]: any).
    patterns: HashMap<(u32, Word), Vec<usize>>,
    /// Beginnings by number of words.
    beginnings: HashMap<u32, usize>,
}

/// Knows patterns, and learns new ones. One message after the other: what a message is taken for depends on those before it.
#[derive(Debug)]
pub struct Miner {
    limits: MinerLimits,
    patterns: Vec<Pattern>,
    leaves: Leaves,
    dictionary: Dictionary,
    messages: u64,
    /// Kept from message to message, so that a known one costs no allocation.
    masked: String,
    words: Vec<Word>,
    spans: Vec<(usize, usize)>,
}

impl Miner {
    /// A miner that knows nothing yet.
    pub fn new(limits: MinerLimits) -> Self {
        Self {
            limits,
            patterns: Vec::new(),
            leaves: Leaves::default(),
            dictionary: Dictionary::default(),
            messages: 0,
            masked: String::new(),
            words: Vec::new(),
            spans: Vec::new(),
        }
    }

    /// A miner that knows these, in the order in which they were learnt.
    pub fn restored(limits: MinerLimits, templates: impl IntoIterator<Item = (PatternId, Template)>) -> Self {
        let mut miner = Self::new(limits);
        for (id, template) in templates {
            let words = template
                .0
                .iter()
                .map(|word| word.as_deref().map_or(LEARNT_GAP, |word| miner.dictionary.add(word)))
                .collect();
            miner.add(id, words);
        }
        miner
    }

    /// Patterns that are known.
    pub fn len(&self) -> usize {
        self.patterns.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Takes a message for one of a pattern. Of the message its first line counts, of a Python stack trace the last.
    pub fn take(&mut self, message: &str) -> Taken {
        self.read(message);
        self.messages += 1;
        match self.most_similar() {
            Some(index) => self.widen(index),
            None => self.learn(),
        }
    }

    /// The template of a pattern; `None` where it is not known.
    pub fn template(&self, id: PatternId) -> Option<Template> {
        let pattern = self.patterns.iter().rev().find(|pattern| pattern.id == id)?;
        let text = |word: &Word| self.dictionary.text(*word).map(str::to_owned);
        Some(Template(pattern.words.iter().map(text).collect()))
    }

    /// Masks a message and looks its words up.
    fn read(&mut self, message: &str) {
        self.masked.clear();
        self.words.clear();
        self.spans.clear();
        for word in significant_line(message).split_whitespace().take(MAX_WORDS) {
            let start = self.masked.len();
            mask_word(word, &mut self.masked);
            self.spans.push((start, self.masked.len()));
            self.words.push(self.dictionary.number(&self.masked[start..]).unwrap_or(UNKNOWN));
        }
    }

    /// The pattern whose template shares most words with the message that was read; of several the one with most gaps.
    fn most_similar(&self) -> Option<usize> {
        let length = self.words.len();
        let mut best: Option<(usize, usize, usize)> = None;
        for &index in self.leaves.get(length as u32, self.beginning()) {
            let template = &self.patterns[index].words;
            let (mut same, mut gaps) = (0, 0);
            for (word, of_template) in self.words.iter().zip(template) {
                same += usize::from(word == of_template);
                gaps += usize::from(*of_template == LEARNT_GAP);
            }
            if best.is_none_or(|(_, most, most_gaps)| (same, gaps) > (most, most_gaps)) {
                best = Some((index, same, gaps));
            }
        }
        let enough = |same: usize| length == 0 || same as f64 >= LEAST_SIMILARITY * length as f64;
        best.filter(|(_, same, _)| enough(*same)).map(|(index, _, _)| index)
    }

    /// By what leaves are told apart: the first word, unless something varies in it.
    fn beginning(&self) -> Word {
        match (self.words.first(), self.spans.first()) {
            (Some(word), Some((start, end))) if !self.masked[*start..*end].contains(GAP) => *word,
            _ => LEARNT_GAP,
        }
    }

    fn widen(&mut self, index: usize) -> Taken {
        let pattern = &mut self.patterns[index];
        pattern.used = self.messages;
        let mut is_wider = false;
        for (of_template, word) in pattern.words.iter_mut().zip(&self.words) {
            if *of_template != *word && *of_template != LEARNT_GAP {
                *of_template = LEARNT_GAP;
                is_wider = true;
            }
        }
        if is_wider {
            Taken::Widened(pattern.id)
        } else {
            Taken::Known(pattern.id)
        }
    }

    fn learn(&mut self) -> Taken {
        if self.patterns.len() >= self.limits.max_patterns {
            self.forget();
        }
        let mut hasher = Xxh3::new();
        let mut words = Vec::with_capacity(self.spans.len());
        for &(start, end) in &self.spans {
            let word = &self.masked[start..end];
            // Words hold no spaces, so that no two messages are hashed alike.
            hasher.update(word.as_bytes());
            hasher.update(b" ");
            words.push(self.dictionary.add(word));
        }
        let id = PatternId(hasher.digest());
        self.add(id, words);
        Taken::New(id)
    }

    fn add(&mut self, id: PatternId, words: Vec<Word>) {
        let first = words.first().and_then(|word| Some((*word, self.dictionary.text(*word)?)));
        let beginning = match first {
            Some((word, text)) if !text.contains(GAP) => word,
            _ => LEARNT_GAP,
        };
        self.leaves.add(words.len() as u32, beginning, self.patterns.len());
        self.patterns.push(Pattern {
            id,
            words,
            used: self.messages,
        });
    }

    /// Forgets a tenth of the patterns, and the words that only they had.
    fn forget(&mut self) {
        let mut used: Vec<u64> = self.patterns.iter().map(|pattern| pattern.used).collect();
        let kept = self.limits.max_patterns - self.limits.max_patterns.div_ceil(10);
        used.sort_unstable_by(|a, b| b.cmp(a));
        let oldest_kept = used.get(kept.saturating_sub(1)).copied().unwrap_or(u64::MAX);
        let before = std::mem::take(&mut self.dictionary);
        let patterns = std::mem::take(&mut self.patterns);
        self.leaves = Leaves::default();
        for pattern in patterns.into_iter().filter(|pattern| kept > 0 && pattern.used >= oldest_kept) {
            let words = pattern
                .words
                .iter()
                .map(|word| before.text(*word).map_or(LEARNT_GAP, |text| self.dictionary.add(text)))
                .collect();
            self.add(pattern.id, words);
            if let Some(last) = self.patterns.last_mut() {
                last.used = pattern.used;
            }
        }
    }
}

impl Dictionary {
    fn number(&self, text: &str) -> Option<Word> {
        self.numbers.get(text).copied()
    }

    /// `None`: a gap.
    fn text(&self, word: Word) -> Option<&str> {
        let index = word.checked_sub(FIRST_WORD)? as usize;
        self.texts.get(index).map(AsRef::as_ref)
    }

    fn add(&mut self, text: &str) -> Word {
        if let Some(word) = self.number(text) {
            return word;
        }
        let word = FIRST_WORD + self.texts.len() as Word;
        let text: Arc<str> = text.into();
        self.texts.push(Arc::clone(&text));
        self.numbers.insert(text, word);
        word
    }
}

impl Leaves {
    fn get(&self, length: u32, beginning: Word) -> &[usize] {
        let of = |beginning| self.patterns.get(&(length, beginning)).map(Vec::as_slice);
        of(beginning).or_else(|| of(LEARNT_GAP)).unwrap_or_default()
    }

    fn add(&mut self, length: u32, beginning: Word, index: usize) {
        let count = self.beginnings.entry(length).or_default();
        let is_known = self.patterns.contains_key(&(length, beginning));
        let beginning = if is_known || *count < MAX_BEGINNINGS {
            beginning
        } else {
            LEARNT_GAP
        };
        *count += usize::from(!self.patterns.contains_key(&(length, beginning)));
        self.patterns.entry((length, beginning)).or_default().push(index);
    }
}

/// The line that says what happened.
fn significant_line(message: &str) -> &str {
    let mut lines = message.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    let line = if first.starts_with(TRACEBACK) {
        lines.next_back().unwrap_or(first)
    } else {
        first
    };
    if line.len() <= MAX_BYTES {
        return line;
    }
    let end = (0..=MAX_BYTES).rev().find(|&end| line.is_char_boundary(end)).unwrap_or(0);
    &line[..end]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn miner() -> Miner {
        Miner::new(MinerLimits::default())
    }

    /// The templates that a miner makes of messages, each once, in the order in which they came.
    fn templates(miner: &mut Miner, messages: &[&str]) -> Vec<String> {
        let mut ids = Vec::new();
        for message in messages {
            let id = miner.take(message).id();
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        ids.into_iter().map(|id| miner.template(id).unwrap().to_string()).collect()
    }

    #[test]
    fn what_varies_becomes_a_gap() {
        let found = templates(
            &mut miner(),
            &[
                "user alice logged in from 10.0.0.1",
                "user bob logged in from 10.0.0.2",
                "connection to db-primary:5432 refused after 30s",
                "user carol logged in from 10.0.0.3",
                "connection to db-replica:5432 refused after 7s",
                "connection closed",
            ],
        );
        assert_eq!(
            found,
            [
                "user <*> logged in from <*>",
                "connection to <*> refused after <*>",
                "connection closed"
            ]
        );
    }

    #[test]
    fn a_first_message_is_new_a_different_one_widens_and_the_next_is_known() {
        let mut miner = miner();
        let Taken::New(id) = miner.take("model onboarding failed for user alice") else {
            panic!()
        };
        assert_eq!(miner.take("model onboarding failed for user bob"), Taken::Widened(id));
        assert_eq!(miner.take("model onboarding failed for user carol"), Taken::Known(id));
        assert_eq!(miner.take("model onboarding failed for user alice"), Taken::Known(id));
        assert_eq!(miner.len(), 1);
    }

    #[test]
    fn numbers_do_not_even_widen() {
        let mut miner = miner();
        let id = miner.take("timeout after 30s in request 77").id();
        assert_eq!(miner.take("timeout after 1500ms in request 78"), Taken::Known(id));
        assert_eq!(miner.template(id).unwrap().to_string(), "timeout after <*> in request <*>");
    }

    #[test]
    fn the_line_that_says_what_happened_counts() {
        let traceback = |file: &str, last: &str| format!("{TRACEBACK}:\n  File {file}, line 3, in f\n    x()\n{last}\n");
        let mut miner = miner();
        let id = miner.take(&traceback("a.py", "ValueError: no column AGEP")).id();
        assert_eq!(miner.take(&traceback("deep/b.py", "ValueError: no column SCHL")).id(), id);
        assert_ne!(miner.take(&traceback("a.py", "KeyError: AGEP")).id(), id);
        let id = miner.take("\n  out of memory\nat line 3").id();
        assert_eq!(miner.take("out of memory\r\nat line 4"), Taken::Known(id));
    }

    #[test]
    fn messages_without_words_are_one_pattern() {
        let mut miner = miner();
        let id = miner.take("").id();
        assert_eq!(miner.take(" \n\t"), Taken::Known(id));
        assert_eq!(miner.template(id).unwrap().to_string(), "");
    }

    #[test]
    fn ids_stay_the_same_after_a_restart_and_on_another_node() {
        let messages: Vec<String> = (0..50)
            .map(|n| format!("worker {} lost shard of index{n}", ["a", "b", "c"][n % 3]))
            .collect();
        let mut first = miner();
        let ids: Vec<PatternId> = messages.iter().map(|message| first.take(message).id()).collect();
        let id = ids[0];
        let template = first.template(id).unwrap();
        let mut after = Miner::restored(MinerLimits::default(), [(id, template)]);
        for message in &messages {
            assert_eq!(after.take(message), Taken::Known(id));
        }
        assert_eq!(
            miner().take(&messages[0]).id(),
            id,
            "another node that meets the same message first"
        );
    }

    #[test]
    fn what_is_met_least_is_forgotten_and_comes_back_with_its_id() {
        let mut miner = Miner::new(MinerLimits { max_patterns: 10 });
        let names = [
            "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu",
        ];
        let message = |name: &str| format!("{name} failed with {name}-error");
        let ids: Vec<PatternId> = names.iter().map(|name| miner.take(&message(name)).id()).collect();
        assert!(miner.len() <= 10);
        assert_eq!(miner.take(&message("mu")), Taken::Known(ids[11]));
        assert_eq!(miner.take(&message("alpha")), Taken::New(ids[0]));
        assert!(miner.dictionary.texts.len() <= 10 * 4, "its words go, too");
    }

    #[test]
    fn many_beginnings_share_a_leaf() {
        let mut miner = miner();
        for n in 0..500 {
            let name: String = n.to_string().bytes().map(|digit| char::from(digit - b'0' + b'a')).collect();
            miner.take(&format!("{name} is not a command"));
        }
        assert!(miner.len() < 110, "{}", miner.len());
    }

    #[test]
    fn hostile_messages_cost_what_is_bounded() {
        let mut miner = miner();
        for message in [
            "x".repeat(1 << 20),
            "a ".repeat(1 << 19),
            "\u{202e}<script>".repeat(1 << 16),
            "é".repeat(1 << 19),
        ] {
            let id = miner.take(&message).id();
            assert!(miner.template(id).unwrap().to_string().len() <= MAX_BYTES * 3);
        }
    }

    proptest! {
        /// A message is always taken for the same pattern as long as nothing else is learnt.
        #[test]
        fn what_was_learnt_is_known(messages in proptest::collection::vec("[ab ]{0,12}[0-9]{0,3}", 1..60)) {
            let mut miner = miner();
            for message in &messages {
                miner.take(message);
            }
            // Until nothing widens any more.
            for _ in 0..8 {
                for message in &messages {
                    miner.take(message);
                }
            }
            for message in &messages {
                prop_assert!(matches!(miner.take(message), Taken::Known(_)), "{message:?}");
            }
        }

        /// No two patterns have one id, and a restored miner takes messages for the same ones.
        #[test]
        fn a_restored_miner_goes_on(
            before in proptest::collection::vec("[a-d]{1,2}( [a-d]{1,2}){0,4}", 1..60),
            after in proptest::collection::vec("[a-d]{1,2}( [a-d]{1,2}){0,4}", 1..60),
        ) {
            let mut miner = miner();
            let mut order = Vec::new();
            for message in &before {
                if let Taken::New(id) = miner.take(message) {
                    prop_assert!(!order.contains(&id));
                    order.push(id);
                }
            }
            let kept = order.iter().map(|id| (*id, miner.template(*id).unwrap()));
            let mut restored = Miner::restored(MinerLimits::default(), kept.collect::<Vec<_>>());
            for message in &after {
                prop_assert_eq!(miner.take(message), restored.take(message));
            }
        }
    }
}
