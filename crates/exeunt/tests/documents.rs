//! That nothing is left out of the guide, and of the tests of its code.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's panic is its failure")]

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The names of the files in a folder, without what follows the dot.
fn names(folder: &str, ending: &str) -> Vec<String> {
    let files = std::fs::read_dir(root().join(folder)).unwrap().map(|file| file.unwrap().path());
    let found = files.filter(|path| path.extension().is_some_and(|found| found == ending));
    let names: Vec<_> = found.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    assert!(!names.is_empty(), "{folder} has no {ending}");
    names
}

fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

#[test]
fn every_chapter_is_listed_and_its_code_is_tested() {
    let (tested, guide) = (text("crates/exeunt/src/guide.rs"), text("docs/guide/README.md"));
    for name in names("docs/guide", "md") {
        assert!(tested.contains(&format!("\"{name}.md\"")), "the code of docs/guide/{name}.md is not tested");
        assert!(
            name == "README" || guide.contains(&format!("({name}.md)")),
            "the guide does not list {name}.md"
        );
    }
}

#[test]
fn the_program_of_the_readme_is_the_example() {
    let (readme, example) = (text("README.md"), text("examples/design.rs"));
    let program = readme.split("```rust").nth(1).unwrap().split("```").next().unwrap();
    let program = &program[program.find("fn main").unwrap()..];
    for line in program.lines() {
        let code = line.split("//").next().unwrap().trim();
        assert!(example.lines().any(|line| line.trim() == code), "{code:?} is not in examples/design.rs");
    }
}

#[test]
fn every_example_is_built_struck_and_in_the_guide() {
    let (manifest, guide) = (text("crates/exeunt/Cargo.toml"), text("docs/guide/README.md"));
    let tests =
        text("crates/exeunt/tests/processes/examples.rs") + &text("crates/exeunt/tests/processes/faults.rs");
    for name in names("examples", "rs") {
        assert!(
            manifest.contains(&format!("\"../../examples/{name}.rs\"")),
            "examples/{name}.rs is not built"
        );
        assert!(tests.contains(&format!("example(\"{name}\")")), "examples/{name}.rs is run by no test");
        assert!(guide.contains(&format!("`{name}`")), "the guide does not name examples/{name}.rs");
    }
}
