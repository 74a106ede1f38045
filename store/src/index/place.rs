//! Where an error stands among the others: by event time, then by what tells errors of one instant apart.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

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

    pub fn place(&self, document: DocId) -> HitKey {
        (self.time(document), self.sequences.first(document).unwrap_or_default())
    }

    /// First and last event time, or what stands for them where there is no error.
    pub fn bounds(&self) -> (i64, i64) {
        (
            self.times.min_value().into_timestamp_nanos(),
            self.times.max_value().into_timestamp_nanos(),
        )
    }
}

/// The hits that come first, of those after a place.
pub(super) struct FirstHits {
    order: Order,
    limit: usize,
    /// Ranks have to lie below.
    below: Option<HitKey>,
    kept: BinaryHeap<Reverse<(HitKey, DocAddress)>>,
}

impl FirstHits {
    pub fn new(order: Order, limit: usize, after: Option<HitKey>) -> Self {
        Self {
            order,
            limit,
            below: after.map(|place| order.rank(place)),
            kept: BinaryHeap::new(),
        }
    }

    /// Takes a hit if it is one of the first.
    pub fn offer(&mut self, place: HitKey, address: DocAddress) {
        let rank = self.order.rank(place);
        if self.below.is_some_and(|below| rank >= below) {
            return;
        }
        let hit = Reverse((rank, address));
        if self.kept.len() < self.limit {
            self.kept.push(hit);
        } else if self.kept.peek().is_some_and(|last| hit < *last) {
            self.kept.pop();
            self.kept.push(hit);
        }
    }

    /// Adds what another part found.
    pub fn merge(&mut self, part: Self) {
        for Reverse((rank, address)) in part.kept {
            self.offer(self.order.rank(rank), address);
        }
    }

    /// In order.
    pub fn into_sorted(self) -> Vec<(HitKey, DocAddress)> {
        let order = self.order;
        let ranked = self.kept.into_sorted_vec().into_iter();
        ranked.map(|Reverse((rank, address))| (order.rank(rank), address)).collect()
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
}
