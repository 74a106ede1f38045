//! What was measured, as a Markdown table and as JSON.

use serde::Serialize;

use super::figure::Scene;
use super::machine::Machine;
use super::settings::Settings;
use super::support::product::target_folder;

#[derive(Serialize)]
struct Report<'a> {
    machine: &'a Machine,
    seconds: u64,
    records: usize,
    scenes: &'a [Scene],
}

/// Prints the table and writes `target/bench/NAME.json`.
pub fn write(name: &str, settings: &Settings, machine: &Machine, scenes: &[Scene]) {
    println!("{}", markdown(machine, scenes));
    let report = Report {
        machine,
        seconds: settings.seconds,
        records: settings.records,
        scenes,
    };
    let folder = target_folder().join("bench");
    let path = folder.join(format!("{name}.json"));
    std::fs::create_dir_all(&folder).expect("the folder of the figures");
    std::fs::write(&path, serde_json::to_vec_pretty(&report).expect("figures as JSON")).expect("the figures are written");
    eprintln!("── {}", path.display());
}

fn markdown(machine: &Machine, scenes: &[Scene]) -> String {
    let mut text = format!(
        "Driftlead {}{}, {} build, measured {} on {} cores ({}), {:.0} GiB of memory, {}, data on {}, load average before {}.\n",
        machine.version,
        machine.commit.as_ref().map(|commit| format!(" ({commit})")).unwrap_or_default(),
        machine.build,
        machine.measured_at,
        machine.cores,
        machine.processor,
        machine.memory_gib,
        machine.kernel,
        machine.file_system,
        machine.load_before,
    );
    if machine.build == "debug" {
        text.push_str("\n**A debug build: these figures say that the bench works, nothing else.**\n");
    }
    for scene in scenes {
        text.push_str(&format!("\n### {}\n\n", scene.name));
        if !scene.figures.is_empty() {
            text.push_str("| figure | value | beside it, in the same run | value ÷ that |\n|---|---:|---|---:|\n");
        }
        for figure in &scene.figures {
            let value = format!("{} {}", shown(figure.value), figure.unit);
            let mut beside = figure.beside.iter();
            let cells = beside.next().map_or_else(Default::default, cells);
            text.push_str(&format!("| {} | {value} | {} | {} |\n", figure.name, cells.0, cells.1));
            for (name, ratio) in beside.map(self::cells) {
                text.push_str(&format!("| | | {name} | {ratio} |\n"));
            }
        }
        if !scene.notes.is_empty() {
            text.push('\n');
        }
        for note in &scene.notes {
            text.push_str(&format!("- {note}\n"));
        }
    }
    text
}

fn cells(beside: &super::figure::Beside) -> (String, String) {
    (format!("{}: {}", beside.name, shown(beside.value)), shown(beside.ratio))
}

/// Three significant digits; whole numbers with their thousands apart.
fn shown(value: f64) -> String {
    let magnitude = value.abs();
    let decimals = match magnitude {
        _ if magnitude >= 100.0 => 0,
        _ if magnitude >= 10.0 => 1,
        _ if magnitude >= 1.0 => 2,
        _ if magnitude >= 0.1 => 3,
        _ => 4,
    };
    let text = format!("{value:.decimals$}");
    if magnitude < 10_000.0 {
        return text;
    }
    let digits: Vec<char> = text.chars().rev().collect();
    let groups = digits.chunks(3).map(|group| group.iter().collect::<String>());
    groups.collect::<Vec<_>>().join(",").chars().rev().collect()
}
