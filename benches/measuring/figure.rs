//! A measured figure and what it is to be read beside.

use serde::Serialize;

/// What one scene measured.
#[derive(Debug, Serialize)]
pub struct Scene {
    /// Its name.
    pub name: String,
    /// Whether it did not come to its end.
    pub failed: bool,
    /// What was measured.
    pub figures: Vec<Figure>,
    /// What the reader has to know: how it was measured, what could not be.
    pub notes: Vec<String>,
}

impl Scene {
    /// An empty one.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            failed: false,
            figures: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// One that did not come to its end.
    pub fn failed(name: &str) -> Self {
        let mut scene = Self::new(name);
        scene.failed = true;
        scene.note("not measured: the scene failed, standard error says why");
        scene
    }

    /// Adds a figure and shows it as progress, so that a run that is cut off has told what it measured.
    pub fn add(&mut self, figure: Figure) {
        let beside = figure.beside.iter().map(|beside| format!("; {}: {}", beside.name, beside.value));
        eprintln!("   {}: {} {}{}", figure.name, figure.value, figure.unit, beside.collect::<String>());
        self.figures.push(figure);
    }

    /// Adds a note.
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }
}

/// A figure.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// How much.
    pub value: f64,
    /// Of what.
    pub unit: &'static str,
    /// Peers and limits of the same run.
    pub beside: Vec<Beside>,
}

/// A peer or a limit, measured in the same run and in the same unit.
#[derive(Debug, Clone, Serialize)]
pub struct Beside {
    /// What it is.
    pub name: String,
    /// Its value.
    pub value: f64,
    /// The figure's value divided by this one.
    pub ratio: f64,
}

impl Figure {
    /// A figure alone.
    pub fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self {
            name: name.into(),
            value,
            unit,
            beside: Vec::new(),
        }
    }

    /// Beside a peer or a limit; one that could not be measured is left out.
    pub fn beside(mut self, name: impl Into<String>, value: impl Into<Option<f64>>) -> Self {
        if let Some(value) = value.into().filter(|value| value.is_finite() && *value > 0.0) {
            self.beside.push(Beside {
                name: name.into(),
                value,
                ratio: self.value / value,
            });
        }
        self
    }
}
