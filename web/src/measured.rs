//! Driftlead's own numbers, before anybody has written them down: as Prometheus reads them (`GET /metrics`), or as
//! OpenTelemetry sends them.

use std::fmt::Write as _;

/// Whether a number only grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What is.
    Gauge,
    /// What was counted since the start.
    Counter,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
        }
    }
}

/// The numbers of one name.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// As Prometheus has it: snake case, with its unit, counters ending in `_total`.
    pub name: &'static str,
    /// What it says.
    pub help: &'static str,
    /// Whether it only grows.
    pub kind: Kind,
    /// Labels and value of each.
    pub points: Vec<(Vec<(&'static str, String)>, f64)>,
}

/// All of them, in the order in which they are shown.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Families(Vec<Family>);

impl Families {
    /// Begins a name; points follow.
    pub fn head(&mut self, name: &'static str, help: &'static str, kind: Kind) {
        self.0.push(Family {
            name,
            help,
            kind,
            points: Vec::new(),
        });
    }

    /// A number of the name that was begun last.
    ///
    /// # Panics
    /// None was begun.
    pub fn point(&mut self, labels: Vec<(&'static str, String)>, value: f64) {
        let family = self.0.last_mut().expect("points follow their name");
        family.points.push((labels, value));
    }

    /// A name with one number.
    pub fn gauge(&mut self, name: &'static str, help: &'static str, value: f64) {
        self.head(name, help, Kind::Gauge);
        self.point(Vec::new(), value);
    }

    /// Likewise, of something that is counted.
    pub fn counter(&mut self, name: &'static str, help: &'static str, value: f64) {
        self.head(name, help, Kind::Counter);
        self.point(Vec::new(), value);
    }

    /// All names.
    pub fn iter(&self) -> impl Iterator<Item = &Family> {
        self.0.iter()
    }

    /// In the text format of Prometheus, version 0.0.4.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for family in &self.0 {
            let Family { name, help, kind, points } = family;
            writeln!(text, "# HELP {name} {help}\n# TYPE {name} {}", kind.name()).expect("a text takes any text");
            for (labels, value) in points {
                let labels: Vec<String> = labels
                    .iter()
                    .map(|(label, value)| format!("{label}=\"{}\"", escaped(value)))
                    .collect();
                let labels = if labels.is_empty() {
                    String::new()
                } else {
                    format!("{{{}}}", labels.join(","))
                };
                writeln!(text, "{name}{labels} {value}").expect("a text takes any text");
            }
        }
        text
    }
}

/// A label's value as the format has it: backslash, quote and line feed are escaped.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_outside_cannot_break_the_format() {
        let mut families = Families::default();
        families.head("m", "Help.", Kind::Counter);
        families.point(vec![("model", "a\"} 1\nevil 2\\".to_owned())], 3.0);
        let expected = "# HELP m Help.\n# TYPE m counter\nm{model=\"a\\\"} 1\\nevil 2\\\\\"} 3\n";
        assert_eq!(families.text(), expected);
    }
}
