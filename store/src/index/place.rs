//! Where an error stands among the others: by event time, then by what tells errors of one instant apart.

use tantivy::columnar::Column;
use tantivy::{DateTime, DocAddress, DocId, SegmentReader};

use super::schema::{SEQUENCE, TIME};

/// A place in the order of hits: event time in nanoseconds, then the sequence.
pub type HitKey = (i64, u64);

/// The order in which hits come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// By event time, descending.
    #[default]
    NewestFirst,
    /// By event time, ascending.
    OldestFirst,
}

impl Order {
    /// A key by which the errors that come first are the largest; applied twice it gives back the place.
    fn rank(self, (time, sequence): HitKey) -> HitKey {
        match self {
            Self::NewestFirst => (time, sequence),
            Self::OldestFirst => (!time, !sequence),
        }
    }
}

/// The places of a segment's errors.
pub(super) struct Places {
    times: Column<DateTime>,
    sequences: Column<u64>,
}

impl Places {
    pub fn of(segment: &SegmentReader) -> tantivy::Result<Self> {
        let columns = segment.fast_fields();
        Ok(Self {
            times: columns.date(TIME)?,
            sequences: columns.u64(SEQUENCE)?,
        })
    }

    /// Event time in nanoseconds.
    pub fn time(&self, document: DocId) -> i64 {
        self.times.first(document).unwrap_or_default().into_timestamp_nanos()
    }

    /// Event times in nanoseconds, into as many places.
    pub fn times(&self, documents: &[DocId], times: &mut [Option<DateTime>]) {
        self.times.first_vals(documents, times);
    }

    pub fn place(&self, document: DocId) -> HitKey {
        (self.time(document), self.sequence(document))
    }

    /// What tells errors of one instant apart.
    pub fn sequence(&self, document: DocId) -> u64 {
        self.sequences.first(document).unwrap_or_default()
    }

    /// First and last event time, or what stands for them where there is no error.
    pub fn bounds(&self) -> (i64, i64) {
        (
            self.times.min_value().into_timestamp_nanos(),
            self.times.max_value().into_timestamp_nanos(),
        )
    }
}

/// The hits that come first, of those after a place. What comes is kept until there is twice as much as wanted, then the
/// better half: each hit costs the same, in whatever order they come.
pub(super) struct FirstHits {
    order: Order,
    limit: usize,
    /// Ranks have to lie below.
    below: Option<HitKey>,
    /// Ranks have to lie above: so many that are better are kept.
    above: Option<HitKey>,
    kept: Vec<(HitKey, DocAddress)>,
}

/// Fewer hits are not worth sorting out.
const LEAST_SURPLUS: usize = 64;

impl FirstHits {
    pub fn new(order: Order, limit: usize, after: Option<HitKey>) -> Self {
        Self {
            order,
            limit,
            below: after.map(|place| order.rank(place)),
            above: None,
            kept: Vec::new(),
        }
    }

    /// Whether a hit of this event time may be one of the first.
    pub fn may_take(&self, time: i64) -> bool {
        let (time, _) = self.order.rank((time, 0));
        self.limit > 0 && self.above.is_none_or(|above| time >= above.0) && self.below.is_none_or(|below| time <= below.0)
    }

    /// Takes a hit if it is one of the first.
    pub fn offer(&mut self, place: HitKey, address: DocAddress) {
        let rank = self.order.rank(place);
        let is_out = self.below.is_some_and(|below| rank >= below) || self.above.is_some_and(|above| rank <= above);
        if is_out || self.limit == 0 {
            return;
        }
        self.kept.push((rank, address));
        if self.kept.len() >= self.limit + self.limit.max(LEAST_SURPLUS) {
            let (_, last, _) = self.kept.select_nth_unstable_by(self.limit - 1, |a, b| b.cmp(a));
            self.above = Some(last.0);
            self.kept.truncate(self.limit);
        }
    }

    /// Adds what another part found.
    pub fn merge(&mut self, part: Self) {
        for (rank, address) in part.kept {
            self.offer(self.order.rank(rank), address);
        }
    }

    /// In order.
    pub fn into_sorted(mut self) -> Vec<(HitKey, DocAddress)> {
        self.kept.sort_unstable_by(|a, b| b.cmp(a));
        self.kept.truncate(self.limit);
        let order = self.order;
        self.kept.into_iter().map(|(rank, address)| (order.rank(rank), address)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(order: Order, limit: usize, after: Option<HitKey>) -> Vec<HitKey> {
        let mut hits = FirstHits::new(order, limit, after);
        let mut other = FirstHits::new(order, limit, after);
        for (document, place) in [(5, 1), (-3, 0), (5, 0), (9, 7), (0, u64::MAX)].into_iter().enumerate() {
            let part = if document % 2 == 0 { &mut hits } else { &mut other };
            part.offer(place, DocAddress::new(0, document as u32));
        }
        hits.merge(other);
        hits.into_sorted().into_iter().map(|(place, _)| place).collect()
    }

    #[test]
    fn the_first_hits_after_a_place_come_in_order() {
        assert_eq!(first(Order::NewestFirst, 3, None), [(9, 7), (5, 1), (5, 0)]);
        assert_eq!(first(Order::NewestFirst, 9, Some((5, 1))), [(5, 0), (0, u64::MAX), (-3, 0)]);
        assert_eq!(first(Order::OldestFirst, 2, None), [(-3, 0), (0, u64::MAX)]);
        assert_eq!(first(Order::OldestFirst, 9, Some((5, 0))), [(5, 1), (9, 7)]);
        assert!(first(Order::OldestFirst, 0, None).is_empty());
    }

    #[test]
    fn many_hits_leave_the_first_ones_in_whatever_order_they_come() {
        let places: Vec<HitKey> = (0..1_000_u64).map(|n| ((n * 7_919 % 500) as i64, n)).collect();
        for order in [Order::NewestFirst, Order::OldestFirst] {
            for limit in [1, 20, 100, 2_000] {
                let mut hits = FirstHits::new(order, limit, None);
                for place in &places {
                    assert!(hits.may_take(place.0) || hits.kept.len() >= limit);
                    if hits.may_take(place.0) {
                        hits.offer(*place, DocAddress::new(0, place.1 as u32));
                    }
                }
                let mut expected = places.clone();
                expected.sort_unstable_by_key(|place| std::cmp::Reverse(order.rank(*place)));
                expected.truncate(limit);
                let found: Vec<HitKey> = hits.into_sorted().into_iter().map(|(place, _)| place).collect();
                assert_eq!(found, expected, "{order:?} {limit}");
            }
        }
    }
}
