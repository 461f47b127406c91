//! What is wrong with a document is said with its place, before anything is served.

use crate::support::{Port, check, gateway_command};
use std::path::PathBuf;
use std::process::Output;
use tempfile::TempDir;

/// A document without a mistake. Its lines are counted in the tests below.
const SOUND: &str = "\
version: 1
listeners:
  - name: main
    address: 127.0.0.1:18080
policies:
  timeouts: {read: 3s}
  ip_filter: {deny: [203.0.113.0/24]}
services:
  users:
    url: http://127.0.0.1:18081
routes:
  - name: users
    match: {path: {prefix: /users}}
    service: users
    policies: {auth: none}
  - name: health
    match: {path: {exact: /health}, methods: [GET]}
    service: users
    policies: {auth: none}
";

struct Written {
    folder: TempDir,
    file: PathBuf,
}

fn written(text: &str) -> Written {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.yaml");
    std::fs::write(&file, text).unwrap();
    Written { folder, file }
}

/// The document with a mistake in the place of something.
fn with_mistake(right: &str, wrong: &str) -> String {
    assert_eq!(SOUND.matches(right).count(), 1, "{right}");
    SOUND.replace(right, wrong)
}

/// Fails the test unless the check refuses this text, at this line and column, naming each word.
#[track_caller]
fn refused(text: &str, line: usize, column: Option<usize>, words: &[&str]) {
    let Written { folder: _folder, file } = written(text);
    let (passed, said) = check(&file);
    assert!(!passed, "it passed: {said}");
    let place = format!("{}:{line}:", file.display());
    let after = said.split_once(&place).unwrap_or_else(|| panic!("no {place} in {said}")).1;
    let digits = after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let found: usize = after[..digits].parse().unwrap_or_else(|_| panic!("no column in {said}"));
    assert!(found > 0, "{said}");
    if let Some(column) = column {
        assert_eq!(found, column, "{said}");
    }
    for word in words {
        assert!(said.contains(word), "{word} is not in {said}");
    }
}

#[test]
fn a_sound_document_passes() {
    let Written { folder: _folder, file } = written(SOUND);
    let (passed, said) = check(&file);
    assert!(passed, "{said}");
}

#[test]
fn an_unknown_key_is_refused() {
    refused(
        &with_mistake(
            "service: users\n    policies: {auth: none}\n  - name",
            "servise: users\n    policies: {auth: none}\n  - name",
        ),
        14,
        Some(5),
        &["servise", "service"],
    );
}

#[test]
fn an_unknown_key_inside_a_flow_is_refused_at_its_column() {
    refused(&with_mistake("{read: 3s}", "{connect: 1s, raed: 3s}"), 6, Some(27), &["raed"]);
}

#[test]
fn an_unknown_key_at_the_top_is_refused() {
    refused(&with_mistake("services:", "servicez:"), 8, Some(1), &["servicez"]);
}

#[test]
fn a_key_that_stands_twice_is_refused() {
    refused(
        &with_mistake(
            "    url: http://127.0.0.1:18081\n",
            "    url: http://127.0.0.1:18081\n    url: http://127.0.0.1:18082\n",
        ),
        11,
        Some(5),
        &["url"],
    );
}

#[test]
fn an_unknown_service_is_refused() {
    refused(
        &with_mistake(
            "{path: {exact: /health}, methods: [GET]}\n    service: users",
            "{path: {exact: /health}, methods: [GET]}\n    service: orders",
        ),
        18,
        Some(14),
        &["orders"],
    );
}

#[test]
fn a_route_without_an_auth_decision_is_refused() {
    let text = SOUND.trim_end().strip_suffix("    policies: {auth: none}").unwrap();
    refused(text, 16, None, &["health", "auth: none"]);
}

#[test]
fn a_route_without_an_answer_is_refused() {
    refused(
        &with_mistake(
            "    service: users\n    policies: {auth: none}\n  - name: health",
            "    policies: {auth: none}\n  - name: health",
        ),
        12,
        None,
        &["users", "service"],
    );
}

#[test]
fn a_bad_duration_is_refused() {
    refused(&with_mistake("3s", "3 parsecs"), 6, Some(20), &["3 parsecs"]);
}

#[test]
fn a_number_without_a_unit_is_no_duration() {
    refused(&with_mistake("3s", "3"), 6, Some(20), &["3"]);
}

#[test]
fn a_bad_network_is_refused() {
    refused(&with_mistake("203.0.113.0/24", "203.0.113.0/33"), 7, Some(22), &["203.0.113.0/33"]);
}

#[test]
fn a_bad_address_is_refused() {
    refused(&with_mistake("127.0.0.1:18080", "127.0.0.1"), 4, Some(14), &["address"]);
}

#[test]
fn a_bad_url_is_refused() {
    refused(
        &with_mistake("http://127.0.0.1:18081", "ftp://127.0.0.1"),
        10,
        Some(10),
        &["ftp://127.0.0.1"],
    );
}

#[test]
fn broken_yaml_is_refused() {
    refused(&with_mistake("[GET]}", "[GET}"), 17, None, &[]);
    refused(&with_mistake("  - name: health", "\t- name: health"), 16, None, &[]);
}

#[test]
fn a_route_name_that_stands_twice_is_refused() {
    refused(&with_mistake("- name: health", "- name: users"), 16, Some(11), &["users"]);
}

#[test]
fn two_routes_that_match_the_same_are_refused() {
    refused(
        &with_mistake("{path: {exact: /health}, methods: [GET]}", "{path: {prefix: /users}}"),
        17,
        None,
        &["users"],
    );
}

#[test]
fn a_method_in_small_letters_is_refused() {
    refused(&with_mistake("[GET]", "[get]"), 17, Some(47), &["GET"]);
}

#[test]
fn an_unknown_policy_set_is_refused() {
    refused(
        &with_mistake("- name: health\n", "- name: health\n    use: [signed_in]\n"),
        17,
        Some(11),
        &["signed_in"],
    );
}

#[test]
fn another_version_is_refused() {
    refused(&with_mistake("version: 1", "version: 2"), 1, None, &["version"]);
}

#[test]
fn a_certificate_that_is_not_there_is_refused() {
    refused(
        &with_mistake(
            "    address: 127.0.0.1:18080\n",
            "    address: 127.0.0.1:18080\n    tls: {certificates: [{cert: no.crt, key: a}]}\n",
        ),
        5,
        None,
        &["no.crt"],
    );
}

#[test]
fn an_environment_variable_that_is_not_set_is_refused() {
    let text = format!("{SOUND}admin: {{address: 127.0.0.1:0, token: $(env:E2E_NOT_SET)}}\n");
    refused(&text, 20, Some(38), &["E2E_NOT_SET"]);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nothing.yaml");
    let (passed, said) = check(&file);
    assert!(!passed);
    assert!(said.contains(&file.display().to_string()), "{said}");
}

#[test]
fn an_empty_file_is_refused() {
    let Written { folder: _folder, file } = written("");
    assert!(!check(&file).0);
}

#[test]
fn run_says_the_same_as_check_and_does_not_start() {
    let port = Port::reserve().address;
    let text = with_mistake("3s", "3 parsecs").replace("127.0.0.1:18080", &port.to_string());
    let Written { folder: _folder, file } = written(&text);
    let (_, checked) = check(&file);
    let mut command = gateway_command();
    let Output { status, stderr, .. } = command.args(["run", "-c"]).arg(&file).output().unwrap();
    assert!(!status.success());
    let said = String::from_utf8(stderr).unwrap();
    assert!(said.contains(checked.trim()), "check: {checked}\nrun: {said}");
}

#[test]
fn a_path_for_the_service_that_no_request_can_have_is_refused() {
    for path in [
        "replace: \"/a b\"",
        "replace: \"/a#b\"",
        "replace: \"/$(query.x)#b\"",
        "replace_prefix: {from: /a, to: \"/b c\"}",
        "replace_prefix: {from: /a, to: \"/b?c\"}",
    ] {
        let policy = format!("read: 3s}}\n  transform: {{request: {{path: {{{path}}}}}}}");
        refused(&with_mistake("read: 3s}", &policy), 7, None, &["path"]);
    }
}

#[test]
fn a_second_host_and_none_are_refused() {
    for edit in ["add: {Host: b}", "remove: [host]"] {
        let policy = format!("read: 3s}}\n  transform: {{request: {{headers: {{{edit}}}}}}}");
        refused(&with_mistake("read: 3s}", &policy), 7, None, &["exactly one `host`"]);
    }
}

#[test]
fn a_request_id_in_a_field_of_the_connection_is_refused() {
    for name in ["content-length", "connection", "host"] {
        let text = format!("version: 1\ntelemetry: {{request_id: {{header: {name}}}}}");
        refused(&with_mistake("version: 1", &text), 2, None, &[name]);
    }
}

#[test]
fn an_admin_address_that_a_listener_has_is_refused() {
    let text = "version: 1\nadmin: {address: 127.0.0.1:18080}";
    refused(&with_mistake("version: 1", text), 5, None, &["`admin` is at 127.0.0.1:18080"]);
}
