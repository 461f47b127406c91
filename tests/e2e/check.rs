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
pub fn refused(text: &str, line: usize, column: Option<usize>, words: &[&str]) {
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

/// What `check` says as JSON.
fn as_json(text: &str) -> serde_json::Value {
    let Written { folder: _folder, file } = written(text);
    let mut command = gateway_command();
    let output = command.args(["check", "--format", "json"]).arg(&file).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn independent_mistakes_are_told_at_once_and_what_follows_from_them_is_not() {
    let text = with_mistake("3s", "3 parsecs")
        .replace("203.0.113.0/24", "203.0.113.0/33")
        .replace("url: http", "urll: http")
        .replace("[GET]", "[get]")
        .replace("18080", "1808O");
    let Written { folder: _folder, file } = written(&text);
    let (passed, said) = check(&file);
    assert!(!passed);
    let lines: Vec<&str> = said.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(lines.len(), 5, "{said}");
    for (line, place) in lines.iter().zip([":4:14:", ":6:20:", ":7:22:", ":10:5:", ":17:47:"]) {
        assert!(line.contains(place), "{place} is not in {line}");
    }
    assert!(said.ends_with("5 errors\n"), "{said}");
}

#[test]
fn a_mistake_is_shown_with_its_line_and_a_caret() {
    let Written { folder: _folder, file } = written(&with_mistake("ip_filter", "ipfilter"));
    let (_, said) = check(&file);
    let told = "policies: unknown key `ipfilter`, did you mean `ip_filter`?\n  |\n\
                7 |   ipfilter: {deny: [203.0.113.0/24]}\n  |   ^^^^^^^^\n";
    assert!(said.ends_with(told), "{said}");
}

#[test]
fn a_programs_reader_gets_mistakes_as_json() {
    let json = as_json(&with_mistake("3s", "3"));
    assert_eq!(json["ok"], false);
    let mistake = &json["mistakes"][0];
    assert_eq!((&mistake["line"], &mistake["column"]), (&6.into(), &20.into()), "{json}");
    assert_eq!(mistake["severity"], "error");
    assert_eq!(mistake["path"], "policies.timeouts.read");
    assert_eq!(as_json(SOUND)["ok"], true);
}

#[test]
fn what_is_legal_and_dangerous_is_remarked_and_passes() {
    let text = with_mistake("  timeouts:", "  auth: none\n  timeouts:");
    let text = format!("{text}admin: {{address: \"0.0.0.0:0\"}}\n");
    let json = as_json(&text);
    assert_eq!(json["ok"], true, "{json}");
    let paths: Vec<_> = json["mistakes"].as_array().unwrap().iter().collect();
    let told = |path: &str| paths.iter().any(|told| told["path"] == path);
    assert!(told("policies.auth") && told("admin.address"), "{json}");
}

#[test]
fn included_files_add_services_and_routes_and_are_told_of_in_mistakes() {
    let text = with_mistake("services:", "include: conf.d/*.yaml\nservices:");
    let Written { folder, file } = written(&text);
    let conf = folder.path().join("conf.d");
    std::fs::create_dir(&conf).unwrap();
    let more = "services:\n  more: {url: \"http://127.0.0.1:18082\"}\nroutes:\n  - name: more\n    \
                match: {path: {prefix: /more}}\n    service: more\n    policies: {auth: none}\n";
    std::fs::write(conf.join("a.yaml"), more).unwrap();
    let (passed, said) = check(&file);
    assert!(passed && said.contains("3 routes, 2 services"), "{said}");

    std::fs::write(conf.join("b.yaml"), "services:\n  more: {url: \"http://127.0.0.1:1\"}\n")
        .unwrap();
    std::fs::write(conf.join("c.yaml"), "routes:\n  - name: c\n    service: nobody\nadmin: {}\n")
        .unwrap();
    let (passed, said) = check(&file);
    assert!(!passed);
    for word in [
        "b.yaml:2:3: `more` is defined in",
        "a.yaml:2 too",
        "c.yaml:3:14: routes[3].service: no service is called `nobody`",
        "c.yaml:4:1: `admin` does not belong into an included file",
        "gateway.yaml:8:10",
    ] {
        assert!(said.contains(word), "{word} is not in {said}");
    }
}

#[test]
fn of_ten_thousand_mistakes_the_first_are_told() {
    let mut text = SOUND.to_owned();
    for number in 0..10_000 {
        text.push_str(&format!("  - {{name: r{number}, match: {{path: {{prefx: /{number}}}}}}}\n"));
    }
    let Written { folder: _folder, file } = written(&text);
    let (passed, said) = check(&file);
    assert!(!passed && said.ends_with("50 errors\n"), "{said}");
}

#[test]
fn values_come_from_the_environment_and_from_files() {
    let text = with_mistake("3s", "$(env:E2E_NOT_SET ?? 3s)")
        .replace("http://127.0.0.1:18081", "$(file:users.url)");
    let Written { folder, file } = written(&text);
    std::fs::write(folder.path().join("users.url"), "http://127.0.0.1:18081\n").unwrap();
    let (passed, said) = check(&file);
    assert!(passed, "{said}");
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
