//! Where records come from: resource and scope, shared by all records below them.

use std::sync::Arc;

use driftlead_store::records;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::attributes::{cut, pairs_of, text_of_named};
use super::cuts::{Cuts, reasons};
use crate::limits::MAX_NAME_BYTES;

/// A resource, and what inferences take from it.
pub(super) struct Origin {
    pub(super) resource: Arc<records::Resource>,
    pub(super) environment: Option<String>,
    /// `ml.model.name` of a service that serves one model and says so once.
    pub(super) model: Option<String>,
    /// `ml.model.version`, else `service.version`.
    pub(super) version: Option<String>,
}

impl Origin {
    pub(super) fn read(resource: Option<Resource>, schema_url: String, cuts: &mut Cuts) -> Self {
        let attributes = resource.unwrap_or_default().attributes;
        let mut name = |names: &[&str]| first_name(&attributes, names, cuts);
        let environment = name(&["deployment.environment.name", "deployment.environment"]);
        let model = name(&["ml.model.name"]);
        let version = name(&["ml.model.version", "service.version"]);
        let service_name = name(&["service.name"]).unwrap_or_default();
        Self {
            resource: Arc::new(records::Resource {
                service_name,
                schema_url,
                attributes: pairs_of(attributes, cuts),
            }),
            environment,
            model,
            version,
        }
    }

    pub(super) fn service(&self) -> Option<String> {
        Some(self.resource.service_name.clone()).filter(|name| !name.is_empty())
    }
}

/// The scope of records.
pub(super) fn scope_of(scope: Option<InstrumentationScope>, schema_url: String, cuts: &mut Cuts) -> Arc<records::Scope> {
    let scope = scope.unwrap_or_default();
    Arc::new(records::Scope {
        name: scope.name,
        version: scope.version,
        schema_url,
        attributes: pairs_of(scope.attributes, cuts),
        dropped_attributes_count: scope.dropped_attributes_count,
    })
}

fn first_name(attributes: &[KeyValue], names: &[&str], cuts: &mut Cuts) -> Option<String> {
    let name = names
        .iter()
        .find_map(|name| text_of_named(attributes, name).filter(|text| !text.is_empty()))?;
    Some(cut(name, MAX_NAME_BYTES, reasons::NAME_TOO_LONG, cuts))
}
