//! Holds the house in order: a module uses only those that stand before it in `src/lib.rs`.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The modules of the library with the number of their group; groups are parted by blank lines.
fn groups() -> HashMap<String, usize> {
    let library = fs::read_to_string("src/lib.rs").unwrap();
    let mut groups = HashMap::new();
    let mut group = 0;
    for line in library.lines() {
        match line.strip_prefix("pub mod ").and_then(|rest| rest.strip_suffix(';')) {
            Some(module) => drop(groups.insert(module.to_owned(), group)),
            None => group += 1,
        }
    }
    groups
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The module of the library that a file belongs to; none for the binary and the library itself.
fn module(path: &Path) -> Option<String> {
    let inside = path.strip_prefix("src").unwrap().components().next()?;
    let name = Path::new(&inside).file_stem()?.to_str()?.to_owned();
    (name != "main" && name != "lib").then_some(name)
}

/// The modules that a line of code names, after `crate::`.
fn named(line: &str) -> impl Iterator<Item = &str> {
    let code = line.split("//").next().unwrap_or_default();
    code.split("crate::").skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        (end > 0).then_some(&rest[..end])
    })
}

#[test]
fn a_module_uses_only_those_before_it() {
    let groups = groups();
    let mut files = Vec::new();
    sources(Path::new("src"), &mut files);
    let mut wrong = Vec::new();
    for file in &files {
        let Some(user) = module(file) else { continue };
        let own = groups.get(&user).unwrap_or_else(|| panic!("{user} is not in src/lib.rs"));
        for (number, line) in fs::read_to_string(file).unwrap().lines().enumerate() {
            for used in named(line).filter(|used| *used != user) {
                if groups.get(used).is_some_and(|group| group >= own) {
                    wrong.push(format!("{}:{}: uses {used}", file.display(), number + 1));
                }
            }
        }
    }
    assert!(files.len() > 40, "only {} files were read", files.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_use_is_seen_wherever_it_stands() {
    let seen = |line| named(line).collect::<Vec<_>>();
    assert_eq!(seen("use crate::policy::Block;"), ["policy"]);
    assert_eq!(seen("fn a(b: crate::route::Rule) -> crate::reply::Stop {"), ["route", "reply"]);
    assert!(seen("// crate::policy is told of in a comment").is_empty());
}
