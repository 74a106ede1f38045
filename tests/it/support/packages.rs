//! What stock SDKs need: a virtual environment of Python, a folder of Node.js packages. Each is made once and again
//! when what it is made from changes.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use super::product::target_folder;

fn run(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{command:?}");
}

/// Held while a folder is made: several tests need the same.
static MAKING: Mutex<()> = Mutex::new(());

/// Makes a folder with `make` unless it was made from the same text before.
fn once(folder: &Path, made_from: &Path, make: impl FnOnce()) {
    let _making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    let wanted = std::fs::read_to_string(made_from).unwrap();
    let installed = folder.join("made-from.txt");
    if std::fs::read_to_string(&installed).is_ok_and(|text| text == wanted) {
        return;
    }
    make();
    std::fs::write(&installed, wanted).unwrap();
}

/// The interpreter of a virtual environment with what `examples/python` needs.
pub fn python() -> PathBuf {
    environment("python-example", "examples/python/requirements.txt")
}

/// The interpreter of a virtual environment with what a file of the repository lists.
pub fn environment(name: &str, requirements: &str) -> PathBuf {
    let environment = target_folder().join(name);
    let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join(requirements);
    let interpreter = environment.join("bin/python");
    once(&environment, &requirements, || {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment));
        run(Command::new(&interpreter)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
            .arg(&requirements));
    });
    interpreter
}

/// A folder that holds a program of Node.js and the packages of its `package.json`, copied from a folder of the
/// repository.
pub fn node(source: &str, program: &str) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(source);
    let folder = target_folder()
        .join("node")
        .join(source.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap());
    std::fs::create_dir_all(&folder).unwrap();
    once(&folder, &source.join("package-lock.json"), || {
        for file in ["package.json", "package-lock.json"] {
            std::fs::copy(source.join(file), folder.join(file)).unwrap();
        }
        run(Command::new("npm")
            .args(["ci", "--no-audit", "--no-fund", "--silent"])
            .current_dir(&folder));
    });
    std::fs::copy(source.join(program), folder.join(program)).unwrap();
    folder.join(program)
}
