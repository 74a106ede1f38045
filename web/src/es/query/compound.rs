//! Queries made of queries.

use driftlead_store::index::query::Expression;
use serde_json::Value;

use super::{Translated, Translator, all_of, any_of, only};
use crate::es::error::EsError;

impl Translator {
    pub(super) fn bool(&mut self, body: &Value, depth: usize) -> Translated {
        let parts = body.as_object().ok_or_else(|| EsError::parsing("[bool] takes an object"))?;
        let known = [
            "must",
            "filter",
            "should",
            "must_not",
            "minimum_should_match",
            "adjust_pure_negative",
        ];
        only("bool", parts, &known)?;
        let mut required = self.queries(parts.get("must"), depth)?;
        required.extend(self.queries(parts.get("filter"), depth)?);
        let should = self.queries(parts.get("should"), depth)?;
        let otherwise = usize::from(required.is_empty());
        let least = match parts.get("minimum_should_match") {
            Some(value) => at_least(value, should.len())?,
            None => otherwise.min(should.len()),
        };
        match least {
            0 => {}
            1 => required.push(any_of(should)),
            least => required.push(Expression::AtLeast(least, should)),
        }
        let forbidden = self.queries(parts.get("must_not"), depth)?;
        required.extend(forbidden.into_iter().map(|query| Expression::Not(Box::new(query))));
        Ok(all_of(required))
    }

    pub(super) fn constant_score(&mut self, body: &Value, depth: usize) -> Translated {
        let filter = body
            .get("filter")
            .ok_or_else(|| EsError::parsing("[constant_score] needs a [filter]"))?;
        self.query(filter, depth + 1)
    }

    pub(super) fn dis_max(&mut self, body: &Value, depth: usize) -> Translated {
        Ok(any_of(self.queries(body.get("queries"), depth)?))
    }

    fn queries(&mut self, value: Option<&Value>, depth: usize) -> Result<Vec<Expression>, EsError> {
        match value {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(queries)) => queries.iter().map(|query| self.query(query, depth + 1)).collect(),
            Some(query) => Ok(vec![self.query(query, depth + 1)?]),
        }
    }
}

/// How many of so many optional queries have to match: a number, a share, or how many may be missing.
pub(super) fn at_least(value: &Value, optional: usize) -> Result<usize, EsError> {
    let wrong = || EsError::parsing(format!("[minimum_should_match] is {value}: write 2, -1, \"75%\" or \"-25%\""));
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return Err(wrong()),
    };
    let optional = i64::try_from(optional).unwrap_or(i64::MAX);
    let count = match text.strip_suffix('%') {
        Some(percent) => {
            let percent: i64 = percent
                .parse()
                .ok()
                .filter(|percent| (-100..=100).contains(percent))
                .ok_or_else(wrong)?;
            optional * percent / 100
        }
        None => text.parse().map_err(|_| wrong())?,
    };
    // Of `-25%` none may be missing where a quarter is less than one.
    let least = if text.starts_with('-') {
        optional.saturating_add(count).max(0)
    } else {
        count
    };
    // More than there are match nothing, as one more than all does.
    Ok(usize::try_from(least.min(optional.saturating_add(1))).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn shares_are_rounded_down_and_negative_ones_may_be_missing() {
        for (value, of, expected) in [
            (json!(2), 3, 2),
            (json!(-1), 3, 2),
            (json!("-1"), 3, 2),
            (json!("75%"), 3, 2),
            (json!("-25%"), 3, 3),
            (json!("-25%"), 4, 3),
            (json!("100%"), 4, 4),
            (json!(9), 4, 5),
            (json!(-9), 4, 0),
        ] {
            assert_eq!(at_least(&value, of).unwrap(), expected, "{value} of {of}");
        }
        for wrong in [json!("2<75%"), json!("1000%"), json!(true), json!("")] {
            assert!(at_least(&wrong, 3).is_err(), "{wrong}");
        }
    }
}
