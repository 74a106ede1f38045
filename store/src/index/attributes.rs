//! Which attributes errors have, and of what kind.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tantivy::index::SegmentId;
use tantivy::query::Query as _;
use tantivy::schema::Type;
use tantivy::{Searcher, SegmentReader, TantivyError};

use super::collect::GIVEN_UP;
use super::query::Expression;
use super::schema::ATTRIBUTES;
use super::search::{Search, SearchError};
use super::shelf::Shelf;
use super::{ErrorIndex, IndexError};

/// Attributes of one segment that are known at all.
const MAX_NAMES_PER_SEGMENT: usize = 10_000;
/// Most attributes that are listed.
pub const MAX_LISTED_ATTRIBUTES: usize = 1_000;
/// Most attributes that are listed for those who see only some environments: each is looked for in them.
const MAX_LOOKED_FOR: usize = 200;

/// What the values of an attribute are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AttributeKind {
    /// Texts.
    Text,
    /// Whole numbers.
    Whole,
    /// Other numbers.
    Real,
    /// `true` and `false`.
    Flag,
}

/// Attributes by name, each with what its values are: one kind mostly.
pub type AttributeKinds = BTreeMap<String, BTreeSet<AttributeKind>>;

/// Attributes by segment. Segments never change, and listing a segment's attributes is slow.
#[derive(Debug, Default)]
pub(super) struct Attributes(Mutex<HashMap<SegmentId, Arc<AttributeKinds>>>);

impl Attributes {
    /// The attributes of these segments.
    pub fn of(&self, searchers: &[&Searcher], given_up: &AtomicBool) -> Result<AttributeKinds, IndexError> {
        let mut all = AttributeKinds::new();
        for segment in searchers.iter().flat_map(|searcher| searcher.segment_readers()) {
            if given_up.load(Ordering::Relaxed) {
                return Err(TantivyError::InternalError(GIVEN_UP.into()).into());
            }
            for (name, kinds) in self.of_segment(segment)?.iter() {
                match all.get_mut(name) {
                    Some(known) => known.extend(kinds),
                    None => {
                        all.insert(name.clone(), kinds.clone());
                    }
                }
            }
        }
        Ok(all)
    }

    fn of_segment(&self, segment: &SegmentReader) -> Result<Arc<AttributeKinds>, IndexError> {
        let id = segment.segment_id();
        if let Some(known) = self.lock().get(&id) {
            return Ok(Arc::clone(known));
        }
        let prefix = format!("{ATTRIBUTES}.");
        let mut found = AttributeKinds::new();
        for field in segment.fields_metadata()? {
            let Some(name) = field.field_name.strip_prefix(&prefix) else {
                continue;
            };
            let kind = match field.typ {
                Type::Str => AttributeKind::Text,
                Type::I64 | Type::U64 => AttributeKind::Whole,
                Type::F64 => AttributeKind::Real,
                Type::Bool => AttributeKind::Flag,
                _ => continue,
            };
            if found.len() < MAX_NAMES_PER_SEGMENT || found.contains_key(name) {
                found.entry(name.to_owned()).or_default().insert(kind);
            }
        }
        let found = Arc::new(found);
        self.lock().insert(id, Arc::clone(&found));
        Ok(found)
    }

    /// Forgets segments that are no more.
    pub fn keep(&self, shelf: &Shelf) {
        let days = shelf.newest_first();
        let searchers: Vec<Searcher> = days.iter().map(|(_, index)| index.reader.searcher()).collect();
        let live: BTreeSet<SegmentId> = searchers
            .iter()
            .flat_map(Searcher::segment_readers)
            .map(SegmentReader::segment_id)
            .collect();
        self.lock().retain(|id, _| live.contains(id));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<SegmentId, Arc<AttributeKinds>>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Whether an error that the search finds has the attribute.
pub(super) fn occurs(search: &Search, attribute: &str, shelf: &Shelf, given_up: &Arc<AtomicBool>) -> Result<bool, IndexError> {
    let with_it = search.and(Expression::HasAttribute(attribute.to_owned()));
    let query = with_it.query(shelf, given_up);
    for (_, searcher) in search.days(shelf) {
        if query.count(&searcher)? > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

impl ErrorIndex {
    /// The attributes of errors of these environments (empty: of all), by name, [`MAX_LISTED_ATTRIBUTES`] at most.
    ///
    /// # Errors
    /// It took too long, or the index failed.
    pub async fn attributes(&self, environments: Vec<String>) -> Result<AttributeKinds, SearchError> {
        let known = Arc::clone(&self.attributes);
        self.off_thread(move |shelf, given_up| {
            let is_limited = !environments.is_empty();
            let search = Search::within(Expression::All, None, None, environments);
            let days = search.days(shelf);
            let searchers: Vec<&Searcher> = days.iter().map(|(_, searcher)| searcher).collect();
            let mut all = known.of(&searchers, given_up)?;
            known.keep(shelf);
            if is_limited {
                let mut seen = AttributeKinds::new();
                for (name, kinds) in all.into_iter().take(MAX_LOOKED_FOR) {
                    if occurs(&search, &name, shelf, given_up)? {
                        seen.insert(name, kinds);
                    }
                }
                all = seen;
            }
            Ok::<_, IndexError>(all.into_iter().take(MAX_LISTED_ATTRIBUTES).collect())
        })
        .await
    }
}
