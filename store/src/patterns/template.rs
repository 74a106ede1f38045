//! A template: words, and gaps in which the messages of its pattern differ.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::mask::GAP;

/// Words after masking; `None` is a gap that was learnt.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Template(pub Vec<Option<String>>);

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, word) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { " " };
            write!(f, "{separator}{}", word.as_deref().unwrap_or(GAP))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_read_as_a_sentence_and_kept_with_its_gaps() {
        let template = Template(vec![Some("took".into()), Some("<*>".into()), Some("for".into()), None]);
        assert_eq!(template.to_string(), "took <*> for <*>");
        let json = serde_json::to_string(&template).unwrap();
        assert_eq!(json, r#"["took","<*>","for",null]"#);
        assert_eq!(serde_json::from_str::<Template>(&json).unwrap(), template);
    }
}
