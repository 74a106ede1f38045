//! A search whose number of errors is a signal.

/// A search that a rule looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchedSearch {
    /// Name of the rule, and subject of its signal.
    pub name: String,
    /// What errors have to match; see [`crate::index::query`].
    pub query: String,
    /// Only errors of these environments; empty: of all.
    pub environments: Vec<String>,
    /// Length of the time that is looked at, up to now, in seconds.
    pub window_seconds: u32,
}

impl WatchedSearch {
    /// The environment that its signal is about; empty where it is about several or all.
    pub fn environment(&self) -> &str {
        match self.environments.as_slice() {
            [one] => one,
            _ => "",
        }
    }
}
