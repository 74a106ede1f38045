//! The rules in use: read from files or the built-in pack, indexed by signal, replaced as a whole on SIGHUP.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use driftlead_store::model_settings::ModelSettings;
use driftlead_store::records::{WatchedSearch, names};
use driftlead_store::state::alerts::{Severity, Side};
use tokio::sync::watch;

use crate::catalogue::{self, RULES_INVALID};
use crate::config::{AlertingConfig, AlertingSettings, resolve_models};
use crate::problem::{Problem, Problems};
use crate::rule::parse::{self, RuleFile};
use crate::rule::{NoData, Notify, Patterns, Rule, Threshold};

/// The built-in packs by name.
const PACKS: [(&str, &str); 1] = [("onboarding", include_str!("../../dashboards/rules/onboarding.toml"))];

/// Name of the rule that alerting adds to every set: it fires while the files on disk cannot be used.
pub const RULES_INVALID_RULE: &str = "rules-invalid";

/// Bytes of a rule file that are read at most: thousands of rules.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// Rules, indexed by signal.
#[derive(Debug, Default)]
pub struct Rules {
    all: Vec<Arc<Rule>>,
    by_signal: HashMap<&'static str, Vec<Arc<Rule>>>,
}

impl Rules {
    /// Those of the files, and those that people made: of two of one name the file's is in use.
    fn new(of_files: &[Arc<Rule>], of_people: &[Arc<Rule>]) -> Self {
        let is_free = |rule: &&Arc<Rule>| of_files.iter().all(|other| other.name != rule.name);
        let all: Vec<Arc<Rule>> = of_files.iter().chain(of_people.iter().filter(is_free)).cloned().collect();
        let mut by_signal: HashMap<_, Vec<_>> = HashMap::new();
        for rule in &all {
            by_signal.entry(rule.signal.name).or_default().push(rule.clone());
        }
        Self { all, by_signal }
    }

    /// All of them in their order.
    pub fn all(&self) -> &[Arc<Rule>] {
        &self.all
    }

    /// Those that look at a signal.
    pub fn on_signal(&self, signal: &str) -> &[Arc<Rule>] {
        self.by_signal.get(signal).map_or(&[], Vec::as_slice)
    }

    /// The rule of a name.
    pub fn get(&self, name: &str) -> Option<&Arc<Rule>> {
        self.all.iter().find(|rule| rule.name == name)
    }
}

/// What is published to those who use rules.
#[derive(Debug, Clone)]
struct Published {
    rules: Arc<Rules>,
    of_files: Arc<[Arc<Rule>]>,
    of_people: Arc<[Arc<Rule>]>,
    /// Why the files on disk are not in use; `None`: they are.
    rejected: Option<Arc<str>>,
}

/// A handle to the rules in use. Clones share them.
#[derive(Debug, Clone)]
pub struct RuleSet {
    published: watch::Sender<Published>,
    source: Arc<Source>,
}

#[derive(Debug)]
struct Source {
    paths: Vec<PathBuf>,
    receivers: BTreeSet<String>,
}

impl RuleSet {
    /// Reads the rules: files, or folders whose `.toml` files are read in the order of their names; none:
    /// the built-in pack.
    ///
    /// # Errors
    /// Everything that is wrong, by file and rule.
    pub fn load(paths: &[PathBuf], config: &AlertingConfig) -> Result<Self, Problems> {
        let source = Source {
            paths: paths.to_vec(),
            receivers: config.receivers.keys().cloned().collect(),
        };
        let of_files = source.read()?;
        let published = watch::Sender::new(Published {
            rules: Arc::new(Rules::new(&of_files, &[])),
            of_files,
            of_people: Arc::new([]),
            rejected: None,
        });
        Ok(Self {
            published,
            source: Arc::new(source),
        })
    }

    /// The rules in use now.
    pub fn current(&self) -> Arc<Rules> {
        self.published.borrow().rules.clone()
    }

    /// Why the files on disk are not in use; `None`: they are.
    pub fn rejected(&self) -> Option<Arc<str>> {
        self.published.borrow().rejected.clone()
    }

    /// Reads the files again and puts their rules in use, all of them or none. What is wrong with them is
    /// returned, kept for [`RuleSet::rejected`], and raised as an alert by alerting; the rules from before
    /// stay in use then. Returns how many rules are in use.
    ///
    /// # Errors
    /// Everything that is wrong, by file and rule.
    pub fn reload(&self) -> Result<usize, Problems> {
        match self.source.read() {
            Ok(of_files) => {
                let mut count = 0;
                self.published.send_modify(|published| {
                    published.rules = Arc::new(Rules::new(&of_files, &published.of_people));
                    published.of_files = of_files;
                    published.rejected = None;
                    count = published.rules.all.len();
                });
                Ok(count)
            }
            Err(problems) => {
                let rejected: Arc<str> = problems.to_string().into();
                self.published.send_modify(|published| published.rejected = Some(rejected));
                Err(problems)
            }
        }
    }

    /// Puts the rules that people made in use, beside those of the files.
    pub(crate) fn set_of_people(&self, rules: Vec<Rule>) {
        let of_people: Arc<[Arc<Rule>]> = rules.into_iter().map(Arc::new).collect();
        self.published.send_modify(|published| {
            published.rules = Arc::new(Rules::new(&published.of_files, &of_people));
            published.of_people = of_people;
        });
    }

    /// The searches whose errors are to be counted now.
    pub fn watched_searches(&self) -> Vec<WatchedSearch> {
        let rules = self.current();
        let searches = rules.on_signal(names::MATCHING_ERRORS).iter();
        searches.filter_map(|rule| rule.watched_search()).collect()
    }

    /// Follows reloads.
    pub(crate) fn changes(&self) -> RuleChanges {
        RuleChanges(self.published.subscribe())
    }
}

/// Tells when rules were reloaded or refused.
pub(crate) struct RuleChanges(watch::Receiver<Published>);

impl RuleChanges {
    /// Waits for the next reload. The set that it belongs to must be kept alive.
    pub(crate) async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Checks everything that alerting is told without starting anything: for `driftlead check-config`.
/// Returns how many rules would be in use.
///
/// # Errors
/// Everything that is wrong.
pub fn check(settings: &AlertingSettings, models: &[ModelSettings]) -> Result<usize, Problems> {
    let mut problems = Vec::new();
    if let Err(Problems(found)) = AlertingConfig::resolve(settings) {
        problems.extend(found);
    }
    if let Err(Problems(found)) = resolve_models(models) {
        problems.extend(found);
    }
    // Names count as known even where their addresses are wrong, so that one mistake is named once.
    let source = Source {
        paths: settings.rule_paths.clone(),
        receivers: settings.receivers.iter().map(|receiver| receiver.name.clone()).collect(),
    };
    match source.read() {
        Ok(rules) if problems.is_empty() => return Ok(rules.len()),
        Ok(_) => {}
        Err(Problems(found)) => problems.extend(found),
    }
    Err(Problems(problems))
}

impl Source {
    fn read(&self) -> Result<Arc<[Arc<Rule>]>, Problems> {
        let mut problems = Vec::new();
        let mut collected = Collected::default();
        if self.paths.is_empty() {
            collected.include(PACKS[0].0, &self.receivers, "[rules]", &mut problems);
        }
        for path in self.files(&mut problems) {
            let place = path.display().to_string();
            let parsed = read_bounded(&path)
                .map_err(|message| vec![Problem::new(place.clone(), message)])
                .and_then(|text| parse::parse(&place, &text, &self.receivers));
            match parsed {
                Ok(file) => collected.add(file, &place, &self.receivers, &mut problems),
                Err(found) => problems.extend(found),
            }
        }
        if !problems.is_empty() {
            return Err(Problems(problems));
        }
        let mut rules: Vec<Rule> = collected.included;
        rules.retain(|rule| !collected.own.iter().any(|own| own.name == rule.name));
        rules.extend(collected.own);
        rules.push(rules_invalid());
        Ok(rules.into_iter().map(Arc::new).collect())
    }

    fn files(&self, problems: &mut Vec<Problem>) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for path in &self.paths {
            if !path.is_dir() {
                files.push(path.clone());
                continue;
            }
            match folder_of_rules(path) {
                Ok(found) if found.is_empty() => {
                    problems.push(Problem::new(
                        path.display().to_string(),
                        "there is no .toml file in this folder of rules",
                    ));
                }
                Ok(found) => files.extend(found),
                Err(error) => problems.push(Problem::new(
                    path.display().to_string(),
                    format!("this folder of rules cannot be read: {error}"),
                )),
            }
        }
        files
    }
}

/// Rules of files and of the packs that they include: a file's rule takes the place of a pack's of the same
/// name, and no two files have one of the same name.
#[derive(Default)]
struct Collected {
    included: Vec<Rule>,
    own: Vec<Rule>,
}

impl Collected {
    fn add(&mut self, file: RuleFile, place: &str, receivers: &BTreeSet<String>, problems: &mut Vec<Problem>) {
        for pack in &file.include {
            self.include(pack, receivers, place, problems);
        }
        for rule in file.rules {
            if self.own.iter().any(|own| own.name == rule.name) || rule.name == RULES_INVALID_RULE {
                problems.push(Problem::new(
                    format!("{place}: rule {:?}", rule.name),
                    "another file has a rule of this name, or it is one of Driftlead's own: rename one",
                ));
            } else {
                self.own.push(rule);
            }
        }
    }

    fn include(&mut self, pack: &str, receivers: &BTreeSet<String>, place: &str, problems: &mut Vec<Problem>) {
        let Some((_, text)) = PACKS.iter().find(|(name, _)| *name == pack) else {
            let known: Vec<&str> = PACKS.iter().map(|(name, _)| *name).collect();
            problems.push(Problem::new(
                place,
                format!("there is no pack {pack:?} to include: there is {}", known.join(", ")),
            ));
            return;
        };
        match parse::parse(&format!("pack {pack}"), text, receivers) {
            Ok(file) => {
                for rule in file.rules {
                    if !self.included.iter().any(|known| known.name == rule.name) {
                        self.included.push(rule);
                    }
                }
            }
            Err(found) => problems.extend(found),
        }
    }
}

fn rules_invalid() -> Rule {
    Rule {
        name: RULES_INVALID_RULE.into(),
        signal: catalogue::find(RULES_INVALID).expect("the catalogue has alerting's own signals"),
        window_seconds: None,
        search: None,
        side: Side::Above,
        threshold: Threshold::Number(0.0),
        hold: std::time::Duration::ZERO,
        models: Patterns::new(vec!["*".into()]),
        environments: None,
        segments: None,
        versions: None,
        severity: Severity::Warning,
        notify: Notify::Everybody,
        actions: Vec::new(),
        no_data: NoData::Keep,
        why: "The rule files have an error, so the rules from before are kept: run driftlead check-config, mend the files, and reload."
            .into(),
    }
}

fn folder_of_rules(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read_bounded(path: &Path) -> Result<String, String> {
    let read = || {
        if std::fs::metadata(path)?.len() > MAX_FILE_BYTES {
            return Err(std::io::Error::other(format!("it is larger than {MAX_FILE_BYTES} bytes")));
        }
        std::fs::read_to_string(path)
    };
    read().map_err(|error| format!("this rule file cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINE: &str = "include = [\"onboarding\"]\n[[rules]]\nname = \"feature-shift\"\nsignal = \"feature_shift\"\nwindow = \"1d\"\n\
         above = 0.02\nseverity = \"warning\"\nactions = [\"retrain\"]\nwhy = \"Mine.\"\n";

    fn load(text: &str) -> (tempfile::TempDir, Result<RuleSet, Problems>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.toml");
        std::fs::write(&path, text).unwrap();
        let rules = RuleSet::load(&[path], &AlertingConfig::default());
        (folder, rules)
    }

    #[test]
    fn the_built_in_pack_is_valid_and_needs_no_receiver() {
        let rules = RuleSet::load(&[], &AlertingConfig::default()).unwrap().current();
        let gate = rules.on_signal("gate_failed");
        assert_eq!(gate.len(), 1);
        assert_eq!(gate[0].actions, [driftlead_store::state::actions::ActionKind::Rollback]);
        assert!(rules.all().iter().all(|rule| !rule.why.is_empty()));
        assert!(rules.get(RULES_INVALID_RULE).is_some());
    }

    #[test]
    fn a_files_rule_takes_the_place_of_the_packs() {
        let (_folder, rules) = load(MINE);
        let rules = rules.unwrap().current();
        let shift = rules.on_signal("feature_shift");
        assert_eq!(shift.len(), 1);
        assert_eq!(shift[0].threshold, Threshold::Number(0.02));
        assert_eq!(rules.on_signal("error_ratio").len(), 1);
        let (_folder, alone) = load(&MINE.replace("include = [\"onboarding\"]", ""));
        assert_eq!(alone.unwrap().current().on_signal("error_ratio").len(), 0);
    }

    #[test]
    fn a_bad_file_keeps_the_rules_from_before_until_it_is_mended() {
        let (folder, rules) = load(MINE);
        let rules = rules.unwrap();
        let path = folder.path().join("mine.toml");
        std::fs::write(&path, MINE.replace("0.02", "2.0")).unwrap();
        let problems = rules.reload().unwrap_err();
        assert!(problems.to_string().contains("rule \"feature-shift\""), "{problems}");
        assert_eq!(rules.current().on_signal("feature_shift")[0].threshold, Threshold::Number(0.02));
        assert!(rules.rejected().is_some());
        std::fs::write(&path, MINE.replace("0.02", "0.04")).unwrap();
        rules.reload().unwrap();
        assert_eq!(rules.current().on_signal("feature_shift")[0].threshold, Threshold::Number(0.04));
        assert_eq!(rules.rejected(), None);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let check = |paths: &[PathBuf], hint: &str| {
            let problems = RuleSet::load(paths, &AlertingConfig::default()).unwrap_err().to_string();
            assert!(problems.contains(hint), "{problems}");
        };
        check(&["/nowhere/rules.toml".into()], "/nowhere/rules.toml");
        let empty = tempfile::tempdir().unwrap();
        check(&[empty.path().into()], "no .toml file");
        let path = empty.path().join("a.toml");
        std::fs::write(&path, "include = [\"other\"]").unwrap();
        check(std::slice::from_ref(&path), "no pack \"other\"");
        std::fs::write(&path, MINE).unwrap();
        std::fs::write(empty.path().join("b.toml"), MINE).unwrap();
        check(&[empty.path().into()], "another file has a rule of this name");
    }

    #[test]
    fn check_config_names_what_is_wrong_everywhere() {
        let (folder, _) = load(&MINE.replace("\"retrain\"", "\"notify:oncall\""));
        let mut model = ModelSettings::undeclared("employment");
        model.rollback = Some(driftlead_store::model_settings::ActionSettings {
            url: "nowhere".into(),
            approval: Default::default(),
            secret: None,
            cool_down: Default::default(),
        });
        let settings = AlertingSettings {
            rule_paths: vec![folder.path().into()],
            ..AlertingSettings::default()
        };
        let problems = check(&settings, &[model]).unwrap_err().to_string();
        assert!(
            problems.contains("oncall") && problems.contains("model \"employment\", rollback"),
            "{problems}"
        );
        assert!(check(&AlertingSettings::default(), &[]).unwrap() > 3);
    }
}
