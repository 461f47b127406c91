//! Starting the gateway.

use crate::support::gateway_command;
use crate::support::{Client, Gateway, ONE_SERVICE, Origin, Port, Setup, check, eventually};
use std::fs;
use std::path::Path;

#[test]
fn version_names_commit_and_pingora() {
    let output = gateway_command().arg("--version").output().unwrap();
    assert!(output.status.success());
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("pingora 0.9.1"), "{said}");
    let mut words = said.split(|c: char| !c.is_ascii_alphanumeric());
    let commit = words.find(|word| *word == "commit").and_then(|_| words.next());
    let commit = commit.unwrap_or_else(|| panic!("no commit in {said}"));
    let is_hash = commit.len() >= 7 && commit.bytes().all(|b| b.is_ascii_hexdigit());
    // An unpacked archive has no commit.
    assert!(is_hash || commit == "unknown", "{said}");
}

#[tokio::test]
async fn two_threads_serve() {
    let origin = Origin::saying("hello").await;
    let gateway = Setup::new(ONE_SERVICE).with("app", &origin).threads(2).start().await;
    for _ in 0..30 {
        assert_eq!(gateway.get("/").await.text(), "hello");
    }
    gateway.metric("gateway_requests_total", &[("route", "all")], 30.0).await;
}

#[tokio::test]
async fn threads_can_be_pinned() {
    let origin = Origin::saying("hello").await;
    let document = format!("{ONE_SERVICE}affinity: [0]\n");
    let gateway = Setup::new(&document).with("app", &origin).start().await;
    assert_eq!(gateway.get("/").await.text(), "hello");
    // Read from the system rather than believed: some thread of it may run on core 0 alone.
    let tasks = fs::read_dir(format!("/proc/{}/task", gateway.id())).unwrap();
    let status = |task: std::io::Result<fs::DirEntry>| {
        fs::read_to_string(task.unwrap().path().join("status")).unwrap()
    };
    assert!(tasks.map(status).any(|text| text.contains("Cpus_allowed_list:\t0\n")));
}

#[tokio::test]
async fn two_listeners_serve() {
    let origin = Origin::saying("hello").await;
    let setup =
        Setup::new(ONE_SERVICE).with("app", &origin).second_listener("protocols: [http/1.1]");
    let gateway = setup.start().await;
    assert_eq!(gateway.get("/").await.status, 200);
    let mut second = Client::connect(gateway.second).await;
    assert_eq!(second.get("/").await.status, 200);
}

#[tokio::test]
async fn a_taken_address_stops_the_start_and_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.yaml");
    let text = format!("version: 1\nlisteners: [{{name: a, address: \"{address}\"}}]\n");
    fs::write(&file, text).unwrap();
    let mut command = gateway_command();
    command.args(["run", "-c"]).arg(&file);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains(&address.to_string()), "{said}");
}

#[tokio::test]
async fn a_gateway_without_an_admin_listener_serves() {
    let origin = Origin::saying("hello").await;
    let folder = tempfile::tempdir().unwrap();
    let port = Port::reserve();
    let file = folder.path().join("gateway.yaml");
    let preamble = "version: 1\nlisteners: [{name: a, address: \"<listen>\"}]\n";
    let text = format!("{preamble}{ONE_SERVICE}");
    let text = text.replace("<listen>", &port.address.to_string());
    fs::write(&file, text.replace("<app>", origin.address())).unwrap();
    let mut child = gateway_command().args(["run", "-c"]).arg(&file).spawn().unwrap();
    eventually("the listener", async || tokio::net::TcpStream::connect(port.address).await.ok())
        .await;
    let response = Client::connect(port.address).await.get("/").await;
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(response.text(), "hello");
}

#[tokio::test]
async fn the_access_log_goes_to_stdout_unless_told_otherwise() {
    let origin = Origin::saying("hello").await;
    let gateway = Setup::new(ONE_SERVICE).with("app", &origin).access_log_to_stdout().start().await;
    gateway.get("/on-stdout").await;
    eventually("a line", async || {
        let text = fs::read_to_string(gateway.folder().join("stdout")).unwrap();
        text.contains("/on-stdout").then_some(())
    })
    .await;
}

#[test]
fn every_file_in_conf_passes_the_check() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf");
    let entries = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|e| e == "yaml")).collect();
    assert!(!files.is_empty());
    for file in files {
        let (passed, said) = check(&file);
        assert!(passed, "{}: {said}", file.display());
    }
}

#[tokio::test]
async fn a_request_is_served_while_a_hundred_connections_are_idle() {
    let origin = Origin::saying("hello").await;
    let gateway = Gateway::before(&origin).await;
    let mut idle = Vec::new();
    for _ in 0..100 {
        idle.push(gateway.connect().await);
    }
    assert_eq!(gateway.get("/").await.text(), "hello");
    gateway.metric("gateway_connections_open", &[("listener", "main")], 100.0).await;
}

#[test]
fn an_access_log_that_cannot_be_opened_is_named() {
    let port = Port::reserve();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.yaml");
    let text = format!(
        "version: 1\nlisteners: [{{name: a, address: \"{}\"}}]\n\
         telemetry: {{access_log: {{path: /nowhere/access.log}}}}\n",
        port.address
    );
    std::fs::write(&file, text).unwrap();
    let output = gateway_command().args(["run", "-c"]).arg(&file).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(said.contains("the access log `/nowhere/access.log` cannot be opened"), "{said}");
}
