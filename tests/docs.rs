//! What is generated is current, and what is shown works.

use std::fs;
use std::process::Command;

/// What the binary prints.
fn printed(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_sluicegate")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn current(file: &str, arguments: &[&str]) {
    let printed = printed(arguments);
    let kept = fs::read_to_string(file).unwrap_or_default();
    assert!(
        kept == printed,
        "{file} is not what `sluicegate {}` prints: write it anew with `make generated`",
        arguments.join(" ")
    );
}

/// The files under `conf/`.
fn configurations() -> Vec<String> {
    let files = fs::read_dir("conf").unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| path.to_str().unwrap().to_owned())
        .collect();
    assert!(files.len() >= 8, "{files:?}");
    files
}

#[test]
fn the_schema_is_current() {
    current("docs/schema.json", &["schema"]);
}

#[test]
fn the_reference_is_current() {
    current("docs/reference.md", &["schema", "--format", "markdown"]);
}

#[test]
fn every_configuration_names_the_schema_and_fits_it() {
    let schema = fs::read_to_string("docs/schema.json").unwrap();
    let schema = serde_json::from_str(&schema).unwrap();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    for file in configurations() {
        let text = fs::read_to_string(&file).unwrap();
        let modeline = "# yaml-language-server: $schema=../docs/schema.json\n";
        assert!(text.starts_with(modeline), "{file} begins with {modeline}");
        let document: serde_json::Value = serde_yaml::from_str(&text).unwrap();
        let wrong: Vec<_> = validator.iter_errors(&document).map(|e| e.to_string()).collect();
        assert!(wrong.is_empty(), "{file}: {wrong:#?}");
    }
}

#[test]
fn the_schema_refuses_what_the_gateway_refuses() {
    let schema = serde_json::from_str(&printed(&["schema"])).unwrap();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    for wrong in [
        "{version: 1, listeners: [{name: a, address: \"a:1\", adress: b}]}",
        "{version: 1, listeners: [], policies: {ip_filter: {denny: []}}}",
        "{version: 1}",
    ] {
        let document: serde_json::Value = serde_yaml::from_str(wrong).unwrap();
        assert!(!validator.is_valid(&document), "{wrong}");
    }
}

#[test]
fn every_configuration_can_be_looked_at_as_a_table() {
    for file in configurations() {
        let table = printed(&["routes", &file]);
        assert!(table.starts_with("ROUTE"), "{file}: {table}");
        let json: serde_json::Value =
            serde_json::from_str(&printed(&["routes", &file, "--format", "json"])).unwrap();
        assert_eq!(json["routes"].as_array().unwrap().len(), table.lines().count() - 1, "{file}");
    }
}

#[test]
fn completions_and_the_manual_name_the_commands() {
    for text in [printed(&["completions", "bash"]), printed(&["man"])] {
        for command in ["run", "check", "routes", "schema"] {
            assert!(text.contains(command), "{command}");
        }
    }
}

/// The first block of a kind in the README.
fn shown(kind: &str) -> String {
    let readme = fs::read_to_string("README.md").unwrap();
    let (_, after) = readme.split_once(&format!("```{kind}\n")).unwrap();
    after.split_once("```").unwrap().0.to_owned()
}

#[test]
fn the_readmes_tour_is_served_and_its_mistakes_are_told_as_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let check = |text: &str| {
        fs::write(folder.path().join("gateway.yaml"), text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluicegate"));
        command.current_dir(&folder).args(["check", "gateway.yaml"]).output().unwrap()
    };
    let tour = shown("yaml");
    let output = check(&tour);
    assert!(output.status.success(), "{output:?}");

    let slips = tour.replacen("timeouts:", "timeout:", 1);
    let output = check(&slips.replacen("service: users", "service: user", 1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(format!("$ sluicegate check gateway.yaml\n{said}"), shown("console"));
}
