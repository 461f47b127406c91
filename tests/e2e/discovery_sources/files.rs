//! Endpoints from a file, on a real file system.

use super::Watched;
use sluicegate::config::read_endpoints;
use sluicegate::upstream::discovery::{File, Kind, Source};
use std::fs;
use std::path::Path;

fn write(path: &Path, ports: &[u16]) {
    let lines: String =
        ports.iter().map(|port| format!("- {{address: \"127.0.0.1:{port}\"}}\n")).collect();
    fs::write(path, if lines.is_empty() { "[]".to_owned() } else { lines }).unwrap();
}

fn watched_file(path: &Path) -> Watched {
    Watched::new(Source::File(File::new(path.to_owned(), read_endpoints)))
}

#[tokio::test]
async fn a_file_is_read_again_however_it_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("endpoints.yaml");
    write(&path, &[1]);
    let watched = watched_file(&path);
    watched.lists(&["127.0.0.1:1"]).await;
    // In place, with the same size.
    write(&path, &[2]);
    watched.lists(&["127.0.0.1:2"]).await;
    // By renaming, as editors do.
    let other = folder.path().join(".endpoints.yaml.new");
    write(&other, &[3]);
    fs::rename(&other, &path).unwrap();
    watched.lists(&["127.0.0.1:3"]).await;
    // Taken away, and written anew.
    fs::remove_file(&path).unwrap();
    watched.is_in_trouble(Kind::Absent).await;
    write(&path, &[4, 5]);
    watched.lists(&["127.0.0.1:4", "127.0.0.1:5"]).await;
    // Behind a symbolic link that turns elsewhere, as Kubernetes does.
    let (elsewhere, link) = (folder.path().join("elsewhere.yaml"), folder.path().join("link"));
    write(&elsewhere, &[6]);
    std::os::unix::fs::symlink(&elsewhere, &link).unwrap();
    fs::rename(&link, &path).unwrap();
    watched.lists(&["127.0.0.1:6"]).await;
}

#[tokio::test]
async fn a_broken_file_says_where_and_counts_again_once_it_is_mended() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("endpoints.yaml");
    write(&path, &[1]);
    let watched = watched_file(&path);
    watched.lists(&["127.0.0.1:1"]).await;
    fs::write(&path, "- address: 127.0.0.1:1\n- address: nowhere\n").unwrap();
    let trouble = watched.is_in_trouble(Kind::Malformed).await;
    let place = format!("{}: line 2, column 12", path.display());
    assert!(trouble.message.starts_with(&place), "{trouble}");
    write(&path, &[2]);
    watched.lists(&["127.0.0.1:2"]).await;
}

#[tokio::test]
async fn a_file_that_is_not_there_yet_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("endpoints.json");
    let watched = watched_file(&path);
    watched.is_in_trouble(Kind::Absent).await;
    fs::write(&path, r#"{"endpoints": [{"address": "127.0.0.1:1", "weight": 3}]}"#).unwrap();
    assert_eq!(watched.lists(&["127.0.0.1:1"]).await[0].weight, 3);
}
