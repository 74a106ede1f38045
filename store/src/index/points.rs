//! Points in time: the index as it was when one was opened, for clients that page through what does not change.
//!
//! A point holds files open that merges and the retention would delete, so they are few and end by themselves; a start
//! of the server ends all of them.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::ErrorIndex;
use super::day::Day;
use super::search::Days;
use crate::clock::UnixNanos;
use crate::ids::{IdKind, new_id};

/// Most points in time that are open at once.
pub const MAX_POINTS: usize = 100;
/// Longest time that a point stays open without being used.
pub const MAX_POINT_IDLE: Duration = Duration::from_secs(3_600);

/// Names a point in time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PointId(pub String);

/// Points that are open.
#[derive(Default)]
pub(super) struct Points(Mutex<HashMap<PointId, Point>>);

struct Point {
    days: Arc<Days>,
    idle: Duration,
    ends: UnixNanos,
}

impl Points {
    fn open(&self, days: Days, idle: Duration, now: UnixNanos) -> Option<PointId> {
        let mut open = self.lock();
        open.retain(|_, point| point.ends > now);
        if open.len() >= MAX_POINTS {
            return None;
        }
        let id = PointId(new_id(IdKind::Point));
        let idle = idle.min(MAX_POINT_IDLE);
        let point = Point {
            days: Arc::new(days),
            idle,
            ends: later(now, idle),
        };
        open.insert(id.clone(), point);
        Some(id)
    }

    /// The days of a point, which stays open from now on as long as it was opened for.
    pub fn find(&self, id: &PointId, now: UnixNanos) -> Option<Arc<Days>> {
        let mut open = self.lock();
        open.retain(|_, point| point.ends > now);
        let point = open.get_mut(id)?;
        point.ends = later(now, point.idle);
        Some(Arc::clone(&point.days))
    }

    fn close(&self, id: &PointId) -> bool {
        self.lock().remove(id).is_some()
    }

    /// Closes those whose time is over.
    pub fn close_overdue(&self, now: UnixNanos) {
        self.lock().retain(|_, point| point.ends > now);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<PointId, Point>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn later(now: UnixNanos, by: Duration) -> UnixNanos {
    UnixNanos(now.0.saturating_add(i64::try_from(by.as_nanos()).unwrap_or(i64::MAX)))
}

impl ErrorIndex {
    /// Opens a point in time over these days (`None`: all) that ends when it is not used for `idle`, at most
    /// [`MAX_POINT_IDLE`]; `None` when [`MAX_POINTS`] are open.
    pub fn open_point(&self, wanted: Option<&BTreeSet<Day>>, idle: Duration) -> Option<PointId> {
        let days = self.shelf.newest_first().into_iter();
        let days = days
            .filter(|(day, _)| wanted.is_none_or(|wanted| wanted.contains(day)))
            .map(|(day, index)| (day, index.reader.searcher()));
        self.points.open(days.collect(), idle, self.clock.now())
    }

    /// Closes a point in time; whether it was open.
    pub fn close_point(&self, id: &PointId) -> bool {
        self.points.close(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_end_when_they_are_not_used_and_are_few() {
        let points = Points::default();
        let at = UnixNanos::from_seconds;
        let minute = Duration::from_secs(60);
        let id = points.open(Vec::new(), minute, at(0)).unwrap();
        assert!(points.find(&id, at(59)).is_some());
        assert!(points.find(&id, at(118)).is_some(), "using it keeps it open");
        assert!(points.find(&id, at(178)).is_none());
        let long = points.open(Vec::new(), Duration::from_secs(1_000_000), at(200)).unwrap();
        assert!(points.find(&long, at(200 + 3_601)).is_none(), "an hour at most");
        let open: Vec<PointId> = (0..MAX_POINTS).filter_map(|_| points.open(Vec::new(), minute, at(0))).collect();
        assert_eq!(open.len(), MAX_POINTS);
        assert!(points.open(Vec::new(), minute, at(1)).is_none());
        assert!(points.close(&open[0]) && !points.close(&open[0]));
        assert!(points.open(Vec::new(), minute, at(1)).is_some());
        points.close_overdue(at(61));
        assert!(points.find(&open[1], at(1)).is_none());
    }
}
