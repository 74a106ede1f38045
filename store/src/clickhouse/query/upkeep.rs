//! What no TTL deletes.

use clickhouse::Row;
use clickhouse::error::Error;
use serde::Deserialize;

use crate::clickhouse::ClickHouse;

/// The oldest generation that the table holds of a reference.
#[derive(Row, Deserialize)]
struct OldestGeneration {
    model: String,
    reference: String,
    generation: u64,
}

/// Deletes the generations of references that are older than the ones that count: (model, reference, generation).
///
/// # Errors
/// A statement failed; calling again is harmless.
pub async fn delete_old_generations(clickhouse: &ClickHouse, current: &[(String, String, u64)]) -> Result<u64, Error> {
    let sql = "SELECT model, reference, min(reference_profiles.generation) AS generation FROM reference_profiles GROUP BY model, reference";
    let oldest: Vec<OldestGeneration> = clickhouse.reader().query(sql).fetch_all().await?;
    let mut deleted = 0;
    for oldest in oldest {
        let outdated = |(model, reference, generation): &&(String, String, u64)| {
            *model == oldest.model && *reference == oldest.reference && *generation > oldest.generation
        };
        let Some((model, reference, generation)) = current.iter().find(outdated) else {
            continue;
        };
        let sql = "ALTER TABLE reference_profiles DELETE \
                   WHERE model = {model:String} AND reference = {reference:String} AND generation < {generation:UInt64}";
        let delete = clickhouse.writer().query(sql);
        let delete = delete
            .param("model", model)
            .param("reference", reference)
            .param("generation", *generation);
        delete.execute().await?;
        deleted += 1;
    }
    Ok(deleted)
}
