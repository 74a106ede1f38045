//! Inferences get the segment of their cluster as they are decoded.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Clustering, Clusterings, segment_of};
use crate::drain::Decode;
use crate::records::{Decoded, FoundErrors, InferenceHalf};
use crate::wal::Frame;

/// A decoder whose inferences belong to the segments of their clusters, where they say no segment of their own.
///
/// Where clusters were found between a batch and the same batch made again after a crash, an inference may be given another segment the
/// second time. It is kept once all the same: what was inserted is told by the batch's token, and of two rows of one inference the last
/// one's segment stays.
pub struct Assigning {
    decode: Arc<dyn Decode>,
    clusterings: Clusterings,
}

impl Assigning {
    /// Decodes by `decode`.
    pub fn new(decode: Arc<dyn Decode>, clusterings: Clusterings) -> Self {
        Self { decode, clusterings }
    }

    fn assign(&self, halves: &mut [InferenceHalf]) {
        let mut known: HashMap<String, Option<Arc<Clustering>>> = HashMap::new();
        for half in halves.iter_mut().filter(|half| half.segment.is_none()) {
            if !known.contains_key(&half.model) {
                known.insert(half.model.clone(), self.clusterings.get(&half.model));
            }
            if let Some(Some(clustering)) = known.get(&half.model) {
                half.segment = clustering.number_of(half).map(segment_of);
            }
        }
    }
}

impl Decode for Assigning {
    fn decode(&self, frame: &Frame) -> Decoded {
        let mut decoded = self.decode.decode(frame);
        if !self.clusterings.is_empty() {
            self.assign(&mut decoded.halves);
        }
        decoded
    }

    fn errors(&self, frame: &Frame) -> FoundErrors {
        self.decode.errors(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Cluster, Space};
    use super::*;
    use crate::clock::UnixNanos;
    use crate::records::Half;

    /// Decodes nothing.
    struct Nothing;

    impl Decode for Nothing {
        fn decode(&self, _frame: &Frame) -> Decoded {
            Decoded::default()
        }

        fn errors(&self, _frame: &Frame) -> FoundErrors {
            FoundErrors::default()
        }
    }

    #[test]
    fn an_inference_belongs_to_the_nearest_cluster_unless_it_says_its_segment() {
        let cluster = |number: u32, centre: [f32; 2]| Cluster {
            number,
            centre: centre.to_vec(),
            radius: 0.1,
            share: 0.5,
            found_at: UnixNanos(1),
            typical: Vec::new(),
            examples: Vec::new(),
        };
        let clustering = Clustering {
            space: Space::Embeddings {
                encoder: String::new(),
                dimensions: 2,
            },
            fitted_at: UnixNanos(1),
            sampled: 2,
            environment: String::new(),
            clusters: vec![cluster(1, [1.0, 0.0]), cluster(7, [0.0, 1.0])],
            next_number: 8,
        };
        let clusterings = Clusterings::of([("m".to_owned(), clustering)]);
        let assigning = Assigning::new(Arc::new(Nothing), clusterings.clone());
        let half = |model: &str, embedding: &[f32], segment: Option<&str>| InferenceHalf {
            embedding: embedding.to_vec(),
            segment: segment.map(str::to_owned),
            ..InferenceHalf::new(Half::Log, model, "r", UnixNanos(1), UnixNanos(1))
        };
        let mut halves = [
            half("m", &[5.0, 1.0], None),
            half("m", &[0.1, 3.0], None),
            half("m", &[0.1, 3.0], Some("own")),
            half("m", &[1.0], None),
            half("other", &[1.0, 0.0], None),
        ];
        assigning.assign(&mut halves);
        let segments = halves.iter().map(|half| half.segment.as_deref()).collect::<Vec<_>>();
        assert_eq!(segments, [Some("cluster 1"), Some("cluster 7"), Some("own"), None, None]);
        clusterings.retain(|model| model != "m");
        let mut again = [half("m", &[5.0, 1.0], None)];
        assigning.assign(&mut again);
        assert_eq!(again[0].segment, None);
    }
}
