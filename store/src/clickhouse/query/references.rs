//! `reference_profiles`: what windows are compared with, profiled once.

use std::collections::BTreeMap;

use clickhouse::Row;
use clickhouse::error::Error;
use serde::{Deserialize, Serialize};

use super::profiles::Profile;
use crate::clickhouse::ClickHouse;
use crate::records::{Embeddings, FeatureCounts, OTHER_CATEGORIES, pseudo};

#[derive(Debug, Row, Serialize, Deserialize)]
struct ReferenceRow {
    model: String,
    reference: String,
    generation: u64,
    feature: String,
    inferences: u64,
    absent: u64,
    nan: u64,
    positive_infinity: u64,
    negative_infinity: u64,
    bucket_keys: Vec<i32>,
    bucket_counts: Vec<u64>,
    values: Vec<String>,
    value_counts: Vec<u64>,
    dispersion: Vec<(u32, f64)>,
}

/// A profile that windows are compared with.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReferenceProfile {
    /// Counts by feature.
    pub profile: Profile,
    /// By feature and length of a window in seconds: how many times the variance of independent traffic the
    /// reference's own windows have. Missing where the reference cannot say.
    pub dispersion: BTreeMap<String, BTreeMap<u32, f64>>,
}

/// Writes the profile of a reference under a generation of its own; it counts once the state names that
/// generation.
///
/// # Errors
/// The insert failed; nothing that the state names changed.
pub async fn write_reference(
    clickhouse: &ClickHouse,
    model: &str,
    reference: &str,
    generation: u64,
    reference_profile: &ReferenceProfile,
) -> Result<(), Error> {
    let mut insert = clickhouse.writer().insert::<ReferenceRow>("reference_profiles").await?;
    let mut features = reference_profile.profile.features.clone();
    features.extend(reference_profile.profile.embeddings.features());
    // How much a projection varies has a row of its own; what is counted of all of them is one.
    let projections = reference_profile.dispersion.keys().filter(|name| name.starts_with(pseudo::HIDDEN));
    projections.for_each(|name| _ = features.entry(name.clone()).or_default());
    for (feature, counts) in &features {
        let dispersion = reference_profile.dispersion.get(feature);
        insert
            .write(&row(model, reference, generation, feature, counts, dispersion))
            .await?;
    }
    insert.end().await
}

/// The profile of a reference as of one generation.
///
/// # Errors
/// The query failed.
pub async fn read_reference(clickhouse: &ClickHouse, model: &str, reference: &str, generation: u64) -> Result<ReferenceProfile, Error> {
    let sql = "SELECT ?fields FROM reference_profiles FINAL \
               WHERE model = {model:String} AND reference = {reference:String} AND generation = {generation:UInt64}";
    let rows: Vec<ReferenceRow> = clickhouse
        .reader()
        .query(sql)
        .param("model", model)
        .param("reference", reference)
        .param("generation", generation)
        .fetch_all()
        .await?;
    let mut read = ReferenceProfile::default();
    for row in rows {
        read.profile.inferences = read.profile.inferences.max(row.inferences);
        read.dispersion
            .insert(row.feature.clone(), row.dispersion.iter().copied().collect());
        let (feature, counts) = counts(row);
        read.profile.features.insert(feature, counts);
    }
    read.profile.embeddings = Embeddings::taken_from(&mut read.profile.features);
    Ok(read)
}

fn row(
    model: &str,
    reference: &str,
    generation: u64,
    feature: &str,
    counts: &FeatureCounts,
    dispersion: Option<&BTreeMap<u32, f64>>,
) -> ReferenceRow {
    let (mut values, mut value_counts): (Vec<String>, Vec<u64>) = counts.values.iter().map(|(value, &n)| (value.clone(), n)).unzip();
    if counts.other > 0 {
        values.push(OTHER_CATEGORIES.to_owned());
        value_counts.push(counts.other);
    }
    let (bucket_keys, bucket_counts) = counts.buckets.iter().map(|(&key, &n)| (key, n)).unzip();
    ReferenceRow {
        model: model.to_owned(),
        reference: reference.to_owned(),
        generation,
        feature: feature.to_owned(),
        inferences: counts.inferences,
        absent: counts.absent,
        nan: counts.nan,
        positive_infinity: counts.positive_infinity,
        negative_infinity: counts.negative_infinity,
        bucket_keys,
        bucket_counts,
        values,
        value_counts,
        dispersion: dispersion
            .into_iter()
            .flatten()
            .map(|(&seconds, &factor)| (seconds, factor))
            .collect(),
    }
}

fn counts(row: ReferenceRow) -> (String, FeatureCounts) {
    let mut counts = FeatureCounts {
        inferences: row.inferences,
        absent: row.absent,
        nan: row.nan,
        positive_infinity: row.positive_infinity,
        negative_infinity: row.negative_infinity,
        buckets: row.bucket_keys.into_iter().zip(row.bucket_counts).collect(),
        ..FeatureCounts::default()
    };
    for (value, n) in row.values.iter().zip(row.value_counts) {
        counts.add_categories(value, n);
    }
    (row.feature, counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_survive_their_row() {
        let mut original = FeatureCounts::default();
        for value in ["a", "a", "b"] {
            original.add_category(value);
        }
        original.add_number(-2.5);
        original.add_number(f64::NAN);
        original.other = 3;
        original.complete_to(9);
        assert_eq!(counts(row("m", "r", 1, "f", &original, None)), ("f".to_owned(), original));
    }
}
