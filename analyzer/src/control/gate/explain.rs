//! From evidence to the verdict, in words.

use super::*;

/// The verdict with its reasons, the weightiest first.
pub(super) fn decide(
    settings: &GateSettings,
    evidence: &Evidence,
    version: &JudgedReplay,
    baseline: Option<&JudgedReplay>,
) -> (VerdictKind, Vec<String>) {
    if evidence.measured.examples == 0 {
        return (VerdictKind::Inconclusive, vec![no_answer(evidence, version)]);
    }
    let failures = if settings.strict {
        point_failures(settings, evidence)
    } else {
        sure_failures(settings, evidence)
    };
    let latency = latency_failures(settings, evidence);
    if !failures.is_empty() || !latency.is_empty() {
        return (VerdictKind::Fail, failures.into_iter().chain(latency).collect());
    }
    let mut doubts = unmeasured(evidence, version, baseline);
    if !settings.strict {
        doubts.extend(
            point_failures(settings, evidence)
                .into_iter()
                .map(|doubt| format!("{doubt}, but not surely")),
        );
        doubts.extend(too_little(evidence, baseline));
    }
    let could_miss = evidence.smallest_detectable_fall.map_or_else(
        || format!("{} examples cannot show any fall", evidence.measured.examples),
        |fall| {
            format!(
                "with {} examples a fall of accuracy of less than {:.1} points can stay unseen",
                evidence.measured.examples,
                100.0 * fall
            )
        },
    );
    if doubts.is_empty() {
        let mut reasons = standing(settings, evidence);
        reasons.push(could_miss);
        return (VerdictKind::Pass, reasons);
    }
    doubts.push(could_miss);
    if let Some(needed) = evidence.examples_needed(settings) {
        doubts.push(format!("about {needed} examples would tell"));
    }
    (VerdictKind::Inconclusive, doubts)
}

fn no_answer(evidence: &Evidence, version: &JudgedReplay) -> String {
    let why = version
        .failure
        .clone()
        .or_else(|| version.examples.iter().find_map(|example| example.reply.clone().err()));
    match why {
        Some(why) => format!("{} gave no answer: {why}", version.version),
        None if evidence.left_out.is_empty() => format!("{} was asked nothing: the set is empty", version.version),
        None => format!("{} and its baseline answered no example in common", version.version),
    }
}

/// What is surely on the wrong side.
fn sure_failures(settings: &GateSettings, evidence: &Evidence) -> Vec<String> {
    let mut failures = Vec::new();
    if let Some(f1) = evidence.measured.f1
        && f1.upper < settings.f1_floor
        && evidence.measured.examples >= MIN_EXAMPLES_FOR_BOUNDS
    {
        failures.push(format!(
            "F1 {} is surely below the floor {}",
            bounded(f1),
            number(settings.f1_floor)
        ));
    }
    if let Some(test) = evidence.mcnemar
        && evidence.fell()
        && test.is_significant()
    {
        failures.push(fall(evidence));
    }
    failures
}

/// What is on the wrong side, surely or not.
fn point_failures(settings: &GateSettings, evidence: &Evidence) -> Vec<String> {
    let mut failures = Vec::new();
    if let Some(f1) = evidence.measured.f1
        && f1.value < settings.f1_floor
    {
        failures.push(format!("F1 {} is below the floor {}", bounded(f1), number(settings.f1_floor)));
    }
    if evidence.fell() {
        failures.push(fall(evidence));
    }
    failures
}

fn latency_failures(settings: &GateSettings, evidence: &Evidence) -> Vec<String> {
    let mut failures = Vec::new();
    if evidence.latency.over_budget
        && let Some(worst) = evidence.latency.worst_p95_ms
    {
        failures.push(format!(
            "p95 of latency is over its budget of {} ms in all warm runs, up to {} ms",
            number(settings.latency_budget_ms),
            number(worst)
        ));
    }
    if let Some(rise) = evidence.latency.sure_rise {
        failures.push(format!(
            "p95 of latency rose by {} against the baseline in all warm runs",
            percent(rise)
        ));
    }
    failures
}

/// What could not be measured, so that neither verdict may follow from it.
fn unmeasured(evidence: &Evidence, version: &JudgedReplay, baseline: Option<&JudgedReplay>) -> Vec<String> {
    let mut doubts = Vec::new();
    if let Some(baseline) = baseline
        && evidence.baseline.is_none()
    {
        let why = baseline.failure.as_deref().unwrap_or("it gave no answer");
        doubts.push(format!(
            "there is nothing to compare with: {} could not be replayed: {why}",
            baseline.version
        ));
    }
    let expects_labels = version
        .examples
        .iter()
        .any(|example| matches!(example.expected, Expected::Label(_)));
    if expects_labels && evidence.measured.f1.is_none() {
        doubts.push("F1 is undefined on this set: no example that was answered expects, or gets, the positive class".to_owned());
    }
    if let Some(first) = evidence.unanswered.first() {
        let why = version
            .examples
            .iter()
            .find(|example| example.id == *first)
            .and_then(|example| example.reply.as_ref().err())
            .map_or("", String::as_str);
        doubts.push(format!(
            "{} of {} examples got no answer, such as {first:?}: {why}",
            evidence.unanswered.len(),
            version.examples.len()
        ));
    }
    doubts
}

/// What is missing for a pass.
fn too_little(evidence: &Evidence, baseline: Option<&JudgedReplay>) -> Vec<String> {
    let mut doubts = Vec::new();
    let n = evidence.measured.examples;
    if n < MIN_EXAMPLES {
        doubts.push(format!("{n} examples are too few: at least {MIN_EXAMPLES} are needed to pass"));
    }
    if evidence.measured.f1.is_none() && baseline.is_none() {
        doubts.push("without labels there is no F1, and there is no baseline to compare accuracy with".to_owned());
    }
    doubts
}

/// Why a version passes.
fn standing(settings: &GateSettings, evidence: &Evidence) -> Vec<String> {
    let mut reasons = Vec::new();
    if let Some(f1) = evidence.measured.f1 {
        let side = if f1.value < settings.f1_floor { "below" } else { "at or above" };
        reasons.push(format!("F1 {} is {side} the floor {}", bounded(f1), number(settings.f1_floor)));
    }
    match (&evidence.baseline, evidence.mcnemar) {
        (Some(baseline), Some(test)) => reasons.push(format!(
            "no fall above {} against {}: {}; {} examples lost, {} gained",
            percent(MAX_RELATIVE_FALL),
            baseline.version,
            changes(evidence),
            test.lost,
            test.gained
        )),
        _ => reasons.push("there is no baseline: only the floor counted".to_owned()),
    }
    if evidence.latency.once_over_budget {
        reasons.push(format!(
            "p95 of latency was over its budget of {} ms in some warm run, not in all",
            number(settings.latency_budget_ms)
        ));
    }
    if !evidence.left_out.is_empty() {
        reasons.push(format!(
            "{} examples that the baseline did not answer were left out",
            evidence.left_out.len()
        ));
    }
    reasons
}

fn fall(evidence: &Evidence) -> String {
    let baseline = evidence.baseline.as_ref().map_or("", |baseline| baseline.version.as_str());
    let test = evidence.mcnemar.unwrap_or(McNemar::test(0, 0));
    format!(
        "quality fell by more than {} against {baseline}: {}; {} of {} examples lost, {} gained, p = {}",
        percent(MAX_RELATIVE_FALL),
        changes(evidence),
        test.lost,
        evidence.measured.examples,
        test.gained,
        probability(test.p)
    )
}

/// F1 and accuracy before and now.
fn changes(evidence: &Evidence) -> String {
    let Some(baseline) = &evidence.baseline else { return String::new() };
    let one = |name: &str, before: Option<Bounded>, now: Option<Bounded>| {
        Some(format!("{name} {} → {}", number(before?.value), number(now?.value)))
    };
    [
        one("F1", baseline.f1, evidence.measured.f1),
        one("accuracy", baseline.accuracy, evidence.measured.accuracy),
    ]
    .into_iter()
    .flatten()
    .collect::<Vec<_>>()
    .join(", ")
}

fn bounded(value: Bounded) -> String {
    format!("{} ({}–{})", number(value.value), number(value.lower), number(value.upper))
}

/// Three significant decimals without trailing zeros.
fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn percent(share: f64) -> String {
    format!("{} %", number(100.0 * share))
}

fn probability(p: f64) -> String {
    if p >= 0.001 { number(p) } else { format!("{p:.0e}") }
}
