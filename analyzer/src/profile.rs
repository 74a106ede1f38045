//! Profiles of rows that are uploaded, with the same buckets as those of telemetry.
//!
//! CSV does not say whether `16` is a number or a name. A column all of whose present values parse as
//! numbers is profiled both ways, and the comparison takes the reading that the window has.

use driftlead_store::bucket;
use driftlead_store::clickhouse::query::profiles::Profile;
use driftlead_store::records::FeatureCounts;
use serde_json::Value;

/// Features that a profile holds: the limit of telemetry.
pub const MAX_FEATURES: usize = 1_000;

/// What is wrong with uploaded rows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowsError {
    /// There are none.
    #[error("there are no rows: send a header and at least one row as CSV, or one JSON object per line")]
    Empty,
    /// A row does not read.
    #[error("row {row}: {problem}")]
    Row {
        /// Number of the row, from 1, the header not counted.
        row: usize,
        /// What is wrong.
        problem: String,
    },
    /// There are too many columns.
    #[error("the rows have {columns} features, more than {MAX_FEATURES}: leave out what is no feature")]
    TooManyFeatures {
        /// How many.
        columns: usize,
    },
}

/// Profiles rows of CSV with a header. An empty field is absent.
///
/// # Errors
/// A row does not read, or there are none.
pub fn of_csv(bytes: &[u8]) -> Result<Profile, RowsError> {
    let mut reader = csv::Reader::from_reader(bytes);
    let wrong = |row: usize, error: csv::Error| RowsError::Row {
        row,
        problem: error.to_string(),
    };
    let header = reader.headers().map_err(|error| wrong(0, error))?.clone();
    if header.len() > MAX_FEATURES {
        return Err(RowsError::TooManyFeatures { columns: header.len() });
    }
    let mut columns = vec![Column::default(); header.len()];
    let mut inferences = 0;
    for (index, record) in reader.records().enumerate() {
        let record = record.map_err(|error| wrong(index + 1, error))?;
        inferences += 1;
        columns.iter_mut().zip(record.iter()).for_each(|(column, field)| column.add(field));
    }
    if inferences == 0 {
        return Err(RowsError::Empty);
    }
    let features = header
        .iter()
        .map(str::to_owned)
        .zip(columns.into_iter().map(|column| column.finish(inferences)))
        .collect();
    Ok(Profile {
        inferences,
        features,
        ..Profile::default()
    })
}

/// Profiles rows of one JSON object per line. Numbers are numbers, strings and booleans categories, null
/// and what is missing is absent; `"NaN"`, `"Infinity"` and `"-Infinity"` are not special.
///
/// # Errors
/// A line is no flat object, or there are none.
pub fn of_json_lines(bytes: &[u8]) -> Result<Profile, RowsError> {
    let mut profile = Profile::default();
    for (index, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let wrong = |problem: String| RowsError::Row { row: index + 1, problem };
        let row: serde_json::Map<String, Value> = serde_json::from_slice(line).map_err(|error| wrong(error.to_string()))?;
        profile.inferences += 1;
        for (name, value) in row {
            let counts = profile.features.entry(name).or_default();
            match value {
                Value::Null => {}
                Value::Number(number) => counts.add_number(number.as_f64().unwrap_or(f64::NAN)),
                Value::String(text) => counts.add_category(&text),
                Value::Bool(flag) => counts.add_category(if flag { "true" } else { "false" }),
                Value::Array(_) | Value::Object(_) => return Err(wrong("values have to be numbers, strings, booleans or null".to_owned())),
            }
        }
        if profile.features.len() > MAX_FEATURES {
            return Err(RowsError::TooManyFeatures {
                columns: profile.features.len(),
            });
        }
    }
    if profile.inferences == 0 {
        return Err(RowsError::Empty);
    }
    let inferences = profile.inferences;
    profile.features.values_mut().for_each(|counts| counts.complete_to(inferences));
    Ok(profile)
}

/// One column of CSV while its rows come in.
#[derive(Debug, Clone, Default)]
struct Column {
    categories: FeatureCounts,
    numbers: FeatureCounts,
    is_text: bool,
}

impl Column {
    fn add(&mut self, field: &str) {
        if field.is_empty() {
            return;
        }
        self.categories.add_category(field);
        match field.trim().parse::<f64>() {
            Ok(number) if !self.is_text => self.numbers.add_number(number),
            _ => self.is_text = true,
        }
    }

    fn finish(self, inferences: u64) -> FeatureCounts {
        let mut counts = self.categories;
        if self.is_text {
            counts.complete_to(inferences);
            return counts;
        }
        // Both readings: what is not finite is no category, and absent is what neither has.
        let (nan, infinite) = (self.numbers.nan, [self.numbers.positive_infinity, self.numbers.negative_infinity]);
        counts.inferences = inferences;
        counts.absent = inferences - self.numbers.inferences;
        counts
            .values
            .retain(|value, _| value.trim().parse::<f64>().is_ok_and(|number| bucket::key_of(number).is_some()));
        counts.buckets = self.numbers.buckets;
        counts.nan = nan;
        [counts.positive_infinity, counts.negative_infinity] = infinite;
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_and_json_lines_give_the_same_counts() {
        let csv = of_csv(b"age,city,code\n41,Bonn,7\n,Bonn,8\n2.5,,7\n").unwrap();
        let json = of_json_lines(b"{\"age\":41,\"city\":\"Bonn\",\"code\":\"7\"}\n{\"age\":null,\"city\":\"Bonn\",\"code\":\"8\"}\n\n{\"age\":2.5,\"code\":\"7\"}\n").unwrap();
        assert_eq!(csv.inferences, 3);
        assert_eq!(csv.features["city"], json.features["city"]);
        assert_eq!(csv.features["age"].buckets, json.features["age"].buckets);
        assert_eq!((csv.features["age"].absent, json.features["age"].absent), (1, 1));
        assert_eq!(csv.features["code"].values, json.features["code"].values);
        assert_eq!(csv.features["code"].numbers(), 3);
    }

    #[test]
    fn what_does_not_read_is_named() {
        assert_eq!(of_csv(b"a,b\n"), Err(RowsError::Empty));
        assert_eq!(of_json_lines(b" \n"), Err(RowsError::Empty));
        assert!(matches!(of_csv(b"a,b\n1,2\n1\n"), Err(RowsError::Row { row: 2, .. })));
        assert!(matches!(
            of_json_lines(b"{\"a\":1}\n{\"a\":[1]}"),
            Err(RowsError::Row { row: 2, .. })
        ));
        let wide = (0..=MAX_FEATURES).map(|i| format!("f{i}")).collect::<Vec<_>>().join(",");
        assert_eq!(
            of_csv(wide.as_bytes()),
            Err(RowsError::TooManyFeatures { columns: MAX_FEATURES + 1 })
        );
    }

    #[test]
    fn numbers_that_are_not_finite_are_counted_apart() {
        let profile = of_csv(b"x\nNaN\ninf\n-inf\n1\n\"\"\n").unwrap();
        let counts = &profile.features["x"];
        assert_eq!(
            (counts.nan, counts.positive_infinity, counts.negative_infinity, counts.absent),
            (1, 1, 1, 1)
        );
        assert_eq!((counts.numbers(), counts.categories()), (1, 1));
    }
}
