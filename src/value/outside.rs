//! Values that come with the gateway's surroundings and not with a request: environment variables
//! and files. They are looked up once, when the document is read.

use super::Invalid;
use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Something outside of requests that a document refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outside {
    /// `env:NAME`: an environment variable.
    Variable(String),
    /// `file:PATH`: the text of a file, without the line break at its end.
    File(String),
}

/// Finds what a document refers to; `None` where there is no such variable.
pub type LookUp<'a> = &'a dyn Fn(&Outside) -> Result<Option<String>, Invalid>;

/// The largest file that is taken for a value, in bytes: a key or a token, not a page.
const LARGEST: u64 = 64 * 1024;

thread_local! {
    /// Where relative paths begin. serde hands a word nothing but its text, so the folder of the
    /// document stands here for as long as the document is read.
    static FOLDER: RefCell<PathBuf> = RefCell::default();
}

/// Reads a document whose relative paths begin in a folder.
pub fn reading_in<T>(folder: &Path, read: impl FnOnce() -> T) -> T {
    let before = FOLDER.replace(folder.to_owned());
    let result = read();
    FOLDER.set(before);
    result
}

/// Looks in the environment of this process, and at the files beside the document.
///
/// # Errors
///
/// Says why a file cannot be read; a variable that is not set is no error yet, since it may have
/// an alternative.
pub fn look_up(outside: &Outside) -> Result<Option<String>, Invalid> {
    match outside {
        Outside::Variable(name) => match std::env::var(name) {
            Ok(value) => Ok(Some(value)),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => {
                Err(Invalid::new(format!("the environment variable `{name}` is not UTF-8")))
            }
        },
        Outside::File(path) => read(&FOLDER.with_borrow(|folder| folder.join(path))).map(Some),
    }
}

/// Reads a file that stands beside the document, such as a key. It is overwritten when it goes.
///
/// # Errors
///
/// Says why it cannot be read, or that it is too large for what it is to be.
pub fn file(folder: &Path, name: &str) -> Result<Zeroizing<Vec<u8>>, Invalid> {
    let path = folder.join(name);
    check(&path)?;
    fs::read(&path).map(Zeroizing::new).map_err(|error| failed(&path, &error))
}

fn failed(path: &Path, error: &std::io::Error) -> Invalid {
    Invalid::new(format!("{} cannot be read: {error}", path.display()))
}

fn check(path: &Path) -> Result<(), Invalid> {
    let refuse = |reason: &str| Err(Invalid::new(format!("{} {reason}", path.display())));
    let about = fs::metadata(path).map_err(|error| failed(path, &error))?;
    match about.len() {
        _ if !about.is_file() => refuse("is no file"),
        size if size > LARGEST => refuse(&format!("has {size} bytes, a value at most {LARGEST}")),
        _ => Ok(()),
    }
}

fn read(path: &Path) -> Result<String, Invalid> {
    check(path)?;
    let mut text = fs::read_to_string(path).map_err(|error| failed(path, &error))?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

impl Outside {
    /// Reads `env:NAME` or `file:PATH`; `None` where text is neither.
    pub fn parse(text: &str) -> Option<Result<Outside, Invalid>> {
        let missing = |what: &str| Some(Err(Invalid::new(format!("{what} is missing here"))));
        match (text.strip_prefix("env:"), text.strip_prefix("file:")) {
            (Some(""), _) => missing("a variable's name, after `env:`,"),
            (_, Some("")) => missing("a file's path, after `file:`,"),
            (Some(name), _) => Some(Ok(Outside::Variable(name.to_owned()))),
            (_, Some(path)) => Some(Ok(Outside::File(path.to_owned()))),
            _ => None,
        }
    }

    /// What is wrong when it is not there and nothing may stand in for it.
    pub(super) fn is_missing(&self) -> Invalid {
        Invalid::new(match self {
            Outside::Variable(name) => format!(
                "the environment variable `{name}` is not set, and `$(env:{name})` has no \
                 alternative: write `$(env:{name} ?? default)` if there may be one"
            ),
            Outside::File(path) => format!("the file `{path}` is not there"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(folder: &Path, name: &str) -> Result<Option<String>, Invalid> {
        reading_in(folder, || look_up(&Outside::File(name.to_owned())))
    }

    #[test]
    fn a_file_is_found_beside_the_document_and_loses_its_last_line_break() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "one\ntwo\r\n").unwrap();
        fs::write(folder.path().join("b"), "").unwrap();
        assert_eq!(file(folder.path(), "a"), Ok(Some("one\ntwo".to_owned())));
        assert_eq!(file(folder.path(), "b"), Ok(Some(String::new())));
    }

    #[test]
    fn what_is_no_readable_file_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("binary"), [0xff, 0xfe]).unwrap();
        fs::write(folder.path().join("large"), vec![b'x'; LARGEST as usize + 1]).unwrap();
        for (name, reason) in [
            ("nothing", "cannot be read"),
            ("binary", "cannot be read"),
            (".", "is no file"),
            ("large", "has 65537 bytes"),
        ] {
            let refusal = file(folder.path(), name).unwrap_err().to_string();
            assert!(refusal.contains(reason) && refusal.contains(name), "{refusal}");
        }
    }
}
