//! How large the rows of a frame become: each carries the attributes of its resource and of its scope, which
//! the frame holds once.

use std::sync::Arc;

use crate::records::{Attributes, Decoded, MetricPoint, Resource, Scope};

/// Bytes of a frame's rows, about: its payload, and what its rows repeat.
pub(super) fn expanded_bytes(payload_bytes: usize, decoded: &Decoded) -> usize {
    let mut sum = Sum::default();
    decoded.logs.iter().for_each(|log| sum.add(&log.resource, &log.scope));
    decoded.spans.iter().for_each(|span| sum.add(&span.resource, &span.scope));
    let metrics = &decoded.metrics;
    sum.add_points(&metrics.gauges);
    sum.add_points(&metrics.sums);
    sum.add_points(&metrics.histograms);
    sum.add_points(&metrics.exponential_histograms);
    sum.add_points(&metrics.summaries);
    payload_bytes.saturating_add(sum.bytes)
}

/// Rows come in runs of one resource and scope: each run is measured once.
#[derive(Default)]
struct Sum<'a> {
    bytes: usize,
    last: Option<(&'a Arc<Resource>, &'a Arc<Scope>, usize)>,
}

impl<'a> Sum<'a> {
    fn add(&mut self, resource: &'a Arc<Resource>, scope: &'a Arc<Scope>) {
        let repeated = match self.last {
            Some((last_resource, last_scope, bytes)) if Arc::ptr_eq(last_resource, resource) && Arc::ptr_eq(last_scope, scope) => bytes,
            _ => resource_bytes(resource) + scope_bytes(scope),
        };
        self.last = Some((resource, scope, repeated));
        self.bytes = self.bytes.saturating_add(repeated);
    }

    fn add_points<Value>(&mut self, points: &'a [MetricPoint<Value>]) {
        for point in points {
            self.add(&point.resource, &point.scope);
            self.bytes = self
                .bytes
                .saturating_add(point.name.len() + point.description.len() + point.unit.len());
        }
    }
}

fn resource_bytes(resource: &Resource) -> usize {
    resource.service_name.len() + resource.schema_url.len() + attribute_bytes(&resource.attributes)
}

fn scope_bytes(scope: &Scope) -> usize {
    scope.name.len() + scope.version.len() + scope.schema_url.len() + attribute_bytes(&scope.attributes)
}

fn attribute_bytes(attributes: &Attributes) -> usize {
    attributes.iter().map(|(name, value)| name.len() + value.len()).sum()
}
