//! The bound on models and on the values of their labels: telemetry that names a new version, segment or arm with
//! every request must not make as many series.
//!
//! Which halves are changed is decided once, with the memory of what was seen, and written down with the batch's
//! boundaries ([`Capped`]); a batch that is made again takes it from there. The memory itself is one small file, so
//! that a restart does not begin to count anew.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::Bounds;
use super::recent::model_hash;
use crate::clock::UnixNanos;
use crate::durable_file;
use crate::records::{Decoded, InferenceHalf};

/// What stands in the place of a value beyond the bound.
pub(super) const OTHER: &str = "other";
/// A value, or a model, that nobody has sent for so long makes room for another: new versions come for ever.
const FORGOTTEN_AFTER_DAYS: u32 = 30;
/// Most values of all models together: a file of 4 MB, written whenever a value is new.
const MAX_VALUES_IN_ALL: usize = 200_000;
/// Arms that are not counted as traffic served: as `other` they would be.
const KEPT_ARMS: [&str; 3] = ["shadow", "replay", "drill"];

const MAGIC: [u8; 8] = *b"DLLABEL1";
const DAY_SECONDS: i64 = 86_400;
const LABELS: usize = 3;

/// How a half of a batch differs from what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Capped {
    /// Which of the batch's halves.
    pub half: u32,
    /// Bit 0, 1, 2: version, segment, arm are [`OTHER`]. [`LEFT_OUT`]: it is no inference at all.
    pub what: u32,
}

/// Its model is beyond the bound.
const LEFT_OUT: u32 = 1 << LABELS;

/// How many values and halves a batch lost to the bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Lost {
    pub values: u64,
    pub halves: u64,
}

/// Values by hash, and the day on which each was last seen.
type Seen = HashMap<u64, u32>;

#[derive(Debug, Default)]
struct Model {
    last_seen: u32,
    labels: [Seen; LABELS],
}

/// The memory of models and values.
#[derive(Debug, Default)]
pub(super) struct Labels {
    path: PathBuf,
    models: HashMap<u64, Model>,
    values: usize,
    swept: u32,
    is_changed: bool,
}

impl Labels {
    /// Reads the file; where there is none, or it is damaged, nothing is known.
    ///
    /// # Errors
    /// The file system refused.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut labels = Self {
            path: path.to_owned(),
            ..Self::default()
        };
        match fs::read(path) {
            Ok(content) if labels.read(&content).is_none() => {
                tracing::warn!(path = %path.display(), "the file of known labels does not read back: they are counted anew");
                labels = Self {
                    path: labels.path,
                    ..Self::default()
                };
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(labels)
    }

    /// Makes what was learnt durable.
    ///
    /// # Errors
    /// The file system refused; it may be tried again.
    pub fn keep(&mut self) -> io::Result<()> {
        if self.is_changed {
            durable_file::replace(&self.path, &self.write())?;
            self.is_changed = false;
        }
        Ok(())
    }

    /// Decides which halves are beyond the bounds, and learns the others.
    pub fn cap(&mut self, decoded: &[Decoded], bounds: &Bounds, now: UnixNanos) -> Vec<Capped> {
        let today = (now.seconds().max(0) / DAY_SECONDS) as u32;
        self.forget(today);
        let halves = decoded.iter().flat_map(|decoded| &decoded.halves);
        let capped = (0..).zip(halves).map(|(half, sent)| Capped {
            half,
            what: self.cap_half(sent, bounds, today),
        });
        capped.filter(|capped| capped.what != 0).collect()
    }

    fn cap_half(&mut self, half: &InferenceHalf, bounds: &Bounds, today: u32) -> u32 {
        let hash = model_hash(&half.model);
        if !self.models.contains_key(&hash) && self.models.len() >= bounds.max_models {
            return LEFT_OUT;
        }
        let model = self.models.entry(hash).or_default();
        self.is_changed |= model.last_seen != today;
        model.last_seen = today;
        let mut what = 0;
        for (label, value) in labels_of(half).into_iter().enumerate() {
            let Some(value) = value else { continue };
            let (hash, seen) = (xxh3_64(value.as_bytes()), &mut model.labels[label]);
            let is_known = seen.contains_key(&hash);
            if is_known || seen.len() < bounds.max_label_values && self.values < MAX_VALUES_IN_ALL {
                self.values += usize::from(!is_known);
                self.is_changed |= seen.insert(hash, today) != Some(today);
            } else {
                what |= 1 << label;
            }
        }
        what
    }

    /// Once a day, what was not seen for long.
    fn forget(&mut self, today: u32) {
        if self.swept == today {
            return;
        }
        self.swept = today;
        let is_kept = |last_seen: u32| last_seen + FORGOTTEN_AFTER_DAYS >= today;
        self.models.retain(|_, model| is_kept(model.last_seen));
        let seen = self.models.values_mut().flat_map(|model| &mut model.labels);
        self.values = seen
            .map(|seen| {
                seen.retain(|_, last_seen| is_kept(*last_seen));
                seen.len()
            })
            .sum();
    }

    fn write(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        for (hash, model) in &self.models {
            out.extend(hash.to_le_bytes());
            out.extend(model.last_seen.to_le_bytes());
            for seen in &model.labels {
                out.extend((seen.len() as u32).to_le_bytes());
                for (value, last_seen) in seen {
                    out.extend(value.to_le_bytes());
                    out.extend(last_seen.to_le_bytes());
                }
            }
        }
        out.extend(crc32c::crc32c(&out).to_le_bytes());
        out
    }

    fn read(&mut self, content: &[u8]) -> Option<()> {
        let (content, crc) = content.split_last_chunk::<4>()?;
        let mut rest = content
            .strip_prefix(&MAGIC)
            .filter(|_| crc32c::crc32c(content).to_le_bytes() == *crc)?;
        while !rest.is_empty() {
            let (hash, mut model) = (u64::from_le_bytes(take(&mut rest)?), Model::default());
            model.last_seen = u32::from_le_bytes(take(&mut rest)?);
            for seen in &mut model.labels {
                for _ in 0..u32::from_le_bytes(take(&mut rest)?) {
                    let value = u64::from_le_bytes(take(&mut rest)?);
                    seen.insert(value, u32::from_le_bytes(take(&mut rest)?));
                }
                self.values += seen.len();
            }
            self.models.insert(hash, model);
        }
        Some(())
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, left) = rest.split_first_chunk::<N>()?;
    *rest = left;
    Some(*taken)
}

fn labels_of(half: &InferenceHalf) -> [Option<&str>; LABELS] {
    let arm = half.arm.as_deref().filter(|arm| !KEPT_ARMS.contains(arm));
    [half.version.as_deref(), half.segment.as_deref(), arm]
}

/// Changes the halves of a batch as it was decided.
pub(super) fn apply(decoded: &mut [Decoded], capped: &[Capped]) -> Lost {
    let mut lost = Lost::default();
    let (mut capped, mut next) = (capped.iter().peekable(), 0..);
    for decoded in decoded {
        decoded.halves.retain_mut(|half| {
            let here = next.next();
            let Some(capped) = capped.next_if(|capped| Some(capped.half) == here) else {
                return true;
            };
            if capped.what & LEFT_OUT != 0 {
                lost.halves += 1;
                return false;
            }
            let labels = [&mut half.version, &mut half.segment, &mut half.arm];
            for (_, value) in labels.into_iter().enumerate().filter(|(label, _)| capped.what & (1 << label) != 0) {
                *value = Some(OTHER.to_owned());
                lost.values += 1;
            }
            true
        });
    }
    lost
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::Half;

    const START: UnixNanos = UnixNanos(1_790_000_000_000_000_000);
    const BOUNDS: fn() -> Bounds = || Bounds {
        max_models: 2,
        max_label_values: 2,
        ..Bounds::default()
    };

    /// `model version segment arm`, `-` for none.
    fn half(words: &str) -> InferenceHalf {
        let words: Vec<&str> = words.split(' ').collect();
        let value = |at: usize| (words[at] != "-").then(|| words[at].to_owned());
        InferenceHalf {
            version: value(1),
            segment: value(2),
            arm: value(3),
            ..InferenceHalf::new(Half::Log, words[0], "r", START, START)
        }
    }

    /// What becomes of a batch of one frame per half.
    fn capped(labels: &mut Labels, halves: &[&str], days: i64) -> Vec<String> {
        let frame = |words: &&str| Decoded {
            halves: vec![half(words)],
            ..Decoded::default()
        };
        let mut decoded: Vec<Decoded> = halves.iter().map(frame).collect();
        let capped = labels.cap(&decoded, &BOUNDS(), START.plus_seconds(days * DAY_SECONDS));
        apply(&mut decoded, &capped);
        let text = |half: &InferenceHalf| {
            let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
            format!(
                "{} {} {} {}",
                half.model,
                value(&half.version),
                value(&half.segment),
                value(&half.arm)
            )
        };
        decoded.iter().flat_map(|decoded| &decoded.halves).map(text).collect()
    }

    #[test]
    fn values_beyond_the_bound_of_their_label_are_other() {
        let labels = &mut Labels::default();
        assert_eq!(
            capped(labels, &["m 1 a x", "m 2 - -", "m 3 b x", "m 1 c y", "m 2 a z", "m - - -"], 0),
            ["m 1 a x", "m 2 - -", "m other b x", "m 1 other y", "m 2 a other", "m - - -"]
        );
        assert_eq!(capped(labels, &["n 3 c z"], 0), ["n 3 c z"], "each model has its own");
        assert_eq!(capped(labels, &["m 1 a shadow", "m 1 a drill"], 0), ["m 1 a shadow", "m 1 a drill"]);
    }

    #[test]
    fn models_beyond_the_bound_are_left_out_and_counted() {
        let labels = &mut Labels::default();
        assert_eq!(
            capped(labels, &["a 1 - -", "b 1 - -", "c 1 - -", "a 2 - -"], 0),
            ["a 1 - -", "b 1 - -", "a 2 - -"]
        );
        let mut decoded = [Decoded {
            halves: vec![half("c 1 - -"), half("a 3 - -")],
            ..Decoded::default()
        }];
        let capped = labels.cap(&decoded, &BOUNDS(), START);
        assert_eq!(apply(&mut decoded, &capped), Lost { values: 1, halves: 1 });
    }

    #[test]
    fn what_nobody_sends_any_more_makes_room() {
        let labels = &mut Labels::default();
        capped(labels, &["m 1 - -", "m 2 - -", "n 1 - -"], 0);
        assert_eq!(capped(labels, &["m 2 - -", "m 3 - -"], 30), ["m 2 - -", "m other - -"]);
        assert_eq!(
            capped(labels, &["m 3 - -", "m 4 - -", "k 1 - -"], 31),
            ["m 3 - -", "m other - -", "k 1 - -"]
        );
    }

    #[test]
    fn the_memory_reads_back_and_a_damaged_one_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("labels");
        let mut labels = Labels::open(&path).unwrap();
        capped(&mut labels, &["m 1 a x", "m 2 - -", "n 1 - -"], 0);
        labels.keep().unwrap();
        let mut again = Labels::open(&path).unwrap();
        assert_eq!(again.values, labels.values);
        assert_eq!(
            capped(&mut again, &["m 1 b x", "m 3 - -", "k 1 - -"], 0),
            ["m 1 b x", "m other - -"]
        );
        let mut content = fs::read(&path).unwrap();
        content[9] ^= 1;
        fs::write(&path, content).unwrap();
        assert!(Labels::open(&path).unwrap().models.is_empty());
    }
}
