//! Joins the halves of inferences: those of one batch into one row, those of several under one key.
//!
//! [`plan`] decides with the memory of recent inferences; what it took from there is written down with the
//! batch's boundaries. [`join`] makes the rows from the frames and those notes alone, so that a batch that is
//! inserted again is byte-identical.

use std::collections::{HashMap, HashSet};

use super::meeting::Superseded;
use super::recent::{InferenceId, Known, Learnt, REMEMBERED_SECONDS, RecentIds, model_hash};
use crate::clock::UnixNanos;
use crate::records::{Decoded, Half, InferenceHalf, JoinedInference};

/// How many hours of key after the hour of an event readers look for its inference. The earliest half of a
/// batch gives the key, so only a half of a later batch can lie before it.
const READ_AHEAD_HOURS: u32 = 1;

/// The inferences of a batch in the order in which they first appear.
#[derive(Debug, Default)]
pub(super) struct Inferences {
    ordinals: HashMap<InferenceId, u32>,
    appearances: Vec<Appearance>,
}

impl Inferences {
    /// The number of an inference, if the batch tells of it.
    pub fn ordinal(&self, id: InferenceId) -> Option<u32> {
        self.ordinals.get(&id).copied()
    }
}

/// An inference as far as one batch tells it.
#[derive(Debug)]
struct Appearance {
    id: InferenceId,
    model: u64,
    first_event_time: UnixNanos,
    earliest_event_time: UnixNanos,
    first_received_time: UnixNanos,
    has_log: bool,
}

/// What the batch's rows take from earlier batches for one of its inferences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Taken {
    /// Which of the batch's inferences.
    pub ordinal: u32,
    /// What was remembered, or what this batch says where it is `partial`.
    pub known: Known,
    /// It does not count as a request: it comes later than the memory reaches back, or it wraps requests that count.
    pub partial: bool,
}

/// Lists the inferences of a batch.
pub(super) fn list(decoded: &[Decoded]) -> Inferences {
    let mut list = Inferences::default();
    for half in decoded.iter().flat_map(|decoded| &decoded.halves) {
        let id = InferenceId::new(&half.model, &half.request_id);
        let next = list.appearances.len() as u32;
        let ordinal = *list.ordinals.entry(id).or_insert(next);
        if ordinal == next {
            list.appearances.push(Appearance {
                id,
                model: model_hash(&half.model),
                first_event_time: half.event_time,
                earliest_event_time: half.event_time,
                first_received_time: half.received_time,
                has_log: false,
            });
        }
        let appearance = &mut list.appearances[ordinal as usize];
        appearance.earliest_event_time = appearance.earliest_event_time.min(half.event_time);
        appearance.has_log |= half.half == Half::Log;
    }
    list
}

/// Decides under which keys the batch's inferences are stored, and what the memory learns from them. Those that are
/// `wrapping` others do not count.
pub(super) fn plan(
    inferences: &Inferences,
    wrapping: &HashSet<InferenceId>,
    decoded: &[Decoded],
    memory: &RecentIds,
) -> (Vec<Taken>, Learnt) {
    let mut taken = Vec::new();
    let mut learnt = Learnt::default();
    let mut logging: Vec<u64> = inferences
        .appearances
        .iter()
        .filter(|seen| seen.has_log)
        .map(|seen| seen.model)
        .collect();
    logging.sort_unstable();
    logging.dedup();
    for (ordinal, seen) in (0..).zip(&inferences.appearances) {
        let own = Known {
            key_hour: hours(seen.earliest_event_time),
            minute: minutes(seen.earliest_event_time),
        };
        let id = seen.id.short();
        match memory.lookup(id) {
            known if wrapping.contains(&seen.id) => {
                taken.push(Taken {
                    ordinal,
                    known: known.unwrap_or(own),
                    partial: true,
                });
                learnt.inferences.push((id, known.unwrap_or(own)));
            }
            // Under the key of the first half this one would make the inference begin where readers of its
            // hour do not look, and it would count nowhere.
            Some(known) if own.key_hour + READ_AHEAD_HOURS < known.key_hour => taken.push(Taken {
                ordinal,
                known: own,
                partial: true,
            }),
            Some(known) => {
                taken.push(Taken {
                    ordinal,
                    known,
                    partial: false,
                });
                if own.minute < known.minute {
                    learnt.inferences.push((
                        id,
                        Known {
                            minute: own.minute,
                            ..known
                        },
                    ));
                }
            }
            None => {
                let sends_logs = logging.binary_search(&seen.model).is_ok() || memory.sends_logs(seen.model);
                if is_latecomer(seen, sends_logs) {
                    taken.push(Taken {
                        ordinal,
                        known: own,
                        partial: true,
                    });
                }
                learnt.inferences.push((id, own));
            }
        }
    }
    learnt.models_with_logs = logging;
    let outcomes = decoded
        .iter()
        .flat_map(|decoded| &decoded.outcomes)
        .map(|outcome| InferenceId::new(&outcome.model, &outcome.request_id));
    let early = outcomes.filter(|id| inferences.ordinal(*id).is_none() && memory.lookup(id.short()).is_none());
    learnt.early_outcomes = early.map(InferenceId::short).collect();
    (taken, learnt)
}

/// Whether this is a second half whose first half is forgotten, so that it must not count as another request.
/// Where both kinds of halves are sent, the log record is the one that counts: every inference has one, while
/// spans are sampled. A log record that comes late is a request either way.
fn is_latecomer(seen: &Appearance, model_sends_logs: bool) -> bool {
    let delay_seconds = seen.first_received_time.seconds_since(seen.first_event_time);
    !seen.has_log && model_sends_logs && delay_seconds > REMEMBERED_SECONDS as f64
}

/// Makes the rows of all inferences, or of those that `decoded`, a part of the batch, tells of, and those that say
/// that what is stored already is superseded.
pub(super) fn join(inferences: &Inferences, taken: &[Taken], superseded: Vec<Superseded>, decoded: &mut [Decoded]) -> Vec<JoinedInference> {
    let taken: HashMap<u32, Taken> = taken.iter().map(|taken| (taken.ordinal, *taken)).collect();
    let mut rows: Vec<JoinedInference> = Vec::new();
    let mut row_of: HashMap<(u32, Half), usize> = HashMap::new();
    for half in decoded.iter_mut().flat_map(|decoded| decoded.halves.drain(..)) {
        let id = InferenceId::new(&half.model, &half.request_id);
        let ordinal = inferences
            .ordinal(id)
            .expect("a part of a batch tells only of the batch's inferences");
        // The other half's row, unless that has such a half already: ClickHouse merges what is told twice.
        let kind = half.half;
        let (key_hour, partial) = match taken.get(&ordinal) {
            Some(taken) => (taken.known.key_hour, taken.partial),
            None => (hours(inferences.appearances[ordinal as usize].earliest_event_time), false),
        };
        let counterpart = row_of
            .get(&(ordinal, other(kind)))
            .copied()
            .filter(|row| half_of(&rows[*row], kind).is_none());
        let row = counterpart.unwrap_or_else(|| {
            rows.push(JoinedInference {
                key_hour: i64::from(key_hour) * 3_600,
                partial,
                superseded: false,
                log: None,
                span: None,
            });
            rows.len() - 1
        });
        row_of.insert((ordinal, kind), row);
        match kind {
            Half::Log => rows[row].log = Some(half),
            Half::Span => rows[row].span = Some(half),
        }
    }
    for course in superseded.iter().filter_map(|superseded| superseded.course.as_ref()) {
        let ordinal = inferences.ordinal(InferenceId::new(&course.model, &course.request_id));
        let naming = ordinal.and_then(|ordinal| row_of.get(&(ordinal, other(course.half))));
        // A half of this kind in the batch itself says it all.
        if let Some(row) = naming.map(|row| &mut rows[*row]).filter(|row| half_of(row, course.half).is_none()) {
            match course.half {
                Half::Log => row.log = Some(course.clone()),
                Half::Span => row.span = Some(course.clone()),
            }
        }
    }
    rows.extend(superseded.into_iter().map(|Superseded { known, half, .. }| {
        let (log, span) = match half.half {
            Half::Log => (Some(half), None),
            Half::Span => (None, Some(half)),
        };
        JoinedInference {
            key_hour: i64::from(known.key_hour) * 3_600,
            partial: false,
            superseded: true,
            log,
            span,
        }
    }));
    rows
}

fn half_of(row: &JoinedInference, kind: Half) -> Option<&InferenceHalf> {
    match kind {
        Half::Log => row.log.as_ref(),
        Half::Span => row.span.as_ref(),
    }
}

fn other(kind: Half) -> Half {
    match kind {
        Half::Log => Half::Span,
        Half::Span => Half::Log,
    }
}

/// Hours since 1970, within what ClickHouse's `DateTime` holds.
fn hours(at: UnixNanos) -> u32 {
    (at.seconds().clamp(0, i64::from(u32::MAX)) / 3_600) as u32
}

/// Minutes since 1970, likewise.
pub(super) fn minutes(at: UnixNanos) -> u32 {
    (at.seconds().clamp(0, i64::from(u32::MAX)) / 60) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600;
    const START: i64 = 480_000 * HOUR;

    fn half(kind: Half, request_id: &str, event_seconds: i64, delay_seconds: i64) -> InferenceHalf {
        let event_time = UnixNanos::from_seconds(START + event_seconds);
        InferenceHalf::new(kind, "m", request_id, event_time, event_time.plus_seconds(delay_seconds))
    }

    fn frame(halves: impl IntoIterator<Item = InferenceHalf>) -> Decoded {
        Decoded {
            halves: halves.into_iter().collect(),
            ..Decoded::default()
        }
    }

    /// Plans and joins batches one after the other; each row as (hours after START, partial, log, span).
    fn rows_of(batches: Vec<Vec<Decoded>>) -> Vec<Vec<(i64, bool, bool, bool)>> {
        let mut memory = RecentIds::default();
        let mut all = Vec::new();
        for mut batch in batches {
            let list = list(&batch);
            let (taken, learnt) = plan(&list, &HashSet::new(), &batch, &memory);
            memory.learn(&learnt, UnixNanos::from_seconds(START));
            let again = join(&list, &taken, Vec::new(), &mut batch.clone());
            let rows = join(&list, &taken, Vec::new(), &mut batch);
            assert_eq!(rows, again, "rows depend on the frames and the notes alone");
            let brief = rows
                .iter()
                .map(|row| ((row.key_hour - START) / HOUR, row.partial, row.log.is_some(), row.span.is_some()));
            all.push(brief.collect());
        }
        all
    }

    #[test]
    fn halves_of_one_batch_are_one_row_whatever_their_order() {
        for (first, second) in [(Half::Log, Half::Span), (Half::Span, Half::Log)] {
            let batch = vec![
                frame([half(first, "a", 0, 0), half(first, "b", 0, 0)]),
                frame([half(second, "a", 1, 0)]),
            ];
            let b = (0, false, first == Half::Log, first == Half::Span);
            assert_eq!(rows_of(vec![batch]), [[(0, false, true, true), b]]);
        }
    }

    #[test]
    fn a_half_told_twice_is_two_rows_of_one_key() {
        let batch = vec![frame([
            half(Half::Log, "a", 0, 0),
            half(Half::Log, "a", HOUR, 0),
            half(Half::Span, "a", 0, 0),
        ])];
        assert_eq!(rows_of(vec![batch]), [[(0, false, true, false), (0, false, true, true)]]);
    }

    #[test]
    fn a_later_batch_keeps_the_hour_of_the_first_half() {
        let batches = vec![
            vec![frame([half(Half::Log, "a", HOUR - 1, 0)])],
            vec![frame([half(Half::Span, "a", HOUR + 1, 0)])],
        ];
        assert_eq!(rows_of(batches), [[(0, false, true, false)], [(0, false, false, true)]]);
    }

    #[test]
    fn an_inference_that_takes_hours_lies_in_the_hour_in_which_it_begins() {
        let (end, begin) = (half(Half::Log, "a", 3 * HOUR, 0), half(Half::Span, "a", 0, 3 * HOUR));
        let together = vec![vec![frame([end.clone(), begin.clone()])]];
        assert_eq!(rows_of(together), [[(0, false, true, true)]]);
        // Once the end is stored, its hour is the key: what began long before it is kept beside it, uncounted.
        let apart = vec![vec![frame([end.clone()])], vec![frame([begin.clone()])]];
        assert_eq!(rows_of(apart), [[(3, false, true, false)], [(0, true, false, true)]]);
        let begin_first = vec![vec![frame([begin])], vec![frame([end])]];
        assert_eq!(rows_of(begin_first), [[(0, false, false, true)], [(0, false, true, false)]]);
    }

    #[test]
    fn a_late_span_is_partial_only_where_logs_count_the_requests() {
        let late = REMEMBERED_SECONDS + 1;
        let span_alone = vec![vec![frame([half(Half::Span, "a", 0, late)])]];
        assert_eq!(rows_of(span_alone), [[(0, false, false, true)]]);
        let after_logs = vec![
            vec![frame([half(Half::Log, "x", 0, 0)])],
            vec![frame([half(Half::Span, "a", 0, late)])],
        ];
        assert_eq!(rows_of(after_logs)[1], [(0, true, false, true)]);
        let in_time = vec![vec![frame([half(Half::Log, "x", 0, 0), half(Half::Span, "a", 0, late - 2)])]];
        assert_eq!(rows_of(in_time)[0][1], (0, false, false, true));
        // A back-fill: the span comes first, and the log record that counts follows.
        let back_fill = vec![
            vec![frame([half(Half::Log, "x", 0, late), half(Half::Span, "a", 0, late)])],
            vec![frame([half(Half::Log, "a", 0, late)])],
        ];
        assert_eq!(
            rows_of(back_fill),
            [vec![(0, false, true, false), (0, true, false, true)], vec![(0, false, true, false)]]
        );
    }

    #[test]
    fn event_times_out_of_range_have_a_key_all_the_same() {
        let batch = vec![frame([InferenceHalf::new(Half::Log, "m", "a", UnixNanos(i64::MIN), UnixNanos(0))])];
        let list = list(&batch);
        assert_eq!(join(&list, &[], Vec::new(), &mut batch.clone())[0].key_hour, 0);
    }
}
