//! One path has one spelling: what is filtered cannot be reached by another.

use crate::protocols::BOTH;
use crate::support::{Gateway, Origin, Setup};
use http::Request;

/// A part that this client may not have, beside one that anyone may, of one service.
const GUARDED: &str = r#"
policies: {auth: none}
services:
  app: {url: "http://<app>"}
routes:
  - name: admin
    match: {path: {prefix: /admin}}
    service: app
    policies: {ip_filter: {allow: [192.0.2.0/24]}}
  - {name: open, match: {path: {prefix: /}}, service: app}
"#;

async fn guarded(listener: &str) -> (Gateway, Origin) {
    let app = Origin::saying("app").await;
    let setup = Setup::new(GUARDED).with("app", &app);
    (setup.listener(&format!("{BOTH}{listener}")).start().await, app)
}

/// Spellings of the guarded part, and how each is answered.
const SPELLINGS: [(&str, u16); 44] = [
    ("/admin", 403),
    ("/admin/", 403),
    ("/admin?x=1", 403),
    ("/admin/users", 403),
    ("//admin", 403),
    ("///admin//users", 403),
    ("/./admin", 403),
    ("/.//admin", 403),
    ("/x/../admin", 403),
    ("/x/y/../../admin", 403),
    ("/../admin", 403),
    ("/../../../admin", 403),
    ("/admin/.", 403),
    ("/admin/x/..", 403),
    ("/%61dmin", 403),
    ("/%61%64%6d%69%6E", 403),
    ("/%2e/admin", 403),
    ("/%2E%2e/admin", 403),
    ("/x/%2e%2E/admin", 403),
    ("/x/.%2e/admin", 403),
    ("/x//../admin", 403),
    ("/x/..//admin", 403),
    // What could be read in two ways is not read at all.
    ("/admin%2f", 400),
    ("/admin%2Fusers", 400),
    ("/%2fadmin", 400),
    ("/x/..%2fadmin", 400),
    ("/x%2f..%2fadmin", 400),
    ("/admin%5c..", 400),
    ("/x/..%5cadmin", 400),
    ("/\\admin", 400),
    ("/x/..\\admin", 400),
    ("/admin\\..\\users", 400),
    ("/admin/..;/", 400),
    ("/..;/admin", 400),
    ("/x/..;a=b/admin", 400),
    ("/x/.;/../admin", 400),
    ("/x/%2e%2e;/admin", 400),
    ("/x/%2e%2e%3b/admin", 400),
    ("/admin%00", 400),
    ("/admin%0a", 400),
    ("/adm%7fin", 400),
    ("/admin%", 400),
    ("/%u0061dmin", 400),
    ("/%zzadmin", 400),
];

#[tokio::test]
async fn a_guarded_path_is_reached_by_no_other_spelling() {
    let (gateway, app) = guarded("").await;
    for (target, status) in SPELLINGS {
        let response = gateway.get(target).await;
        assert_eq!(response.status, status, "{target}");
        response.problem(status);
    }
    assert!(app.requests().is_empty(), "{:?}", app.requests());
}

#[tokio::test]
async fn nor_by_a_target_in_absolute_form() {
    let (gateway, app) = guarded("").await;
    for (target, status) in SPELLINGS {
        let request = format!("GET http://a.test{target} HTTP/1.1\r\nHost: a.test\r\n\r\n");
        assert_eq!(gateway.request(&request).await.status, status, "{target}");
    }
    assert!(app.requests().is_empty(), "{:?}", app.requests());
}

#[tokio::test]
async fn nor_over_http_2() {
    let (gateway, app) = guarded("").await;
    let client = gateway.connect_h2().await;
    for (target, status) in SPELLINGS {
        assert_eq!(client.get(target).await.status, status, "{target}");
    }
    assert!(app.requests().is_empty(), "{:?}", app.requests());
}

#[tokio::test]
async fn what_is_encoded_twice_is_decoded_once_and_stays_data() {
    let (gateway, app) = guarded("").await;
    for target in ["/%252e%252e/admin", "/x/..%252fadmin", "/%2561dmin", "/x%255c..%255cadmin"] {
        assert_eq!(gateway.get(target).await.status, 200, "{target}");
        assert_eq!(app.last().target, target);
    }
}

#[tokio::test]
async fn parameters_of_a_segment_are_part_of_it() {
    // RFC 3986 §3.3: `;` is a character like others.
    let (gateway, app) = guarded("").await;
    assert_eq!(gateway.get("/users;v=1/x;y").await.status, 200);
    assert_eq!(app.last().target, "/users;v=1/x;y");
}

#[tokio::test]
async fn the_service_gets_the_path_that_was_matched_and_the_query_as_it_came() {
    let app = Origin::saying("app").await;
    let gateway = Gateway::before(&app).await;
    for (target, seen) in [
        ("/a/./b//c/../d?x=/../y&z=%2f%61", "/a/b/d?x=/../y&z=%2f%61"),
        ("/%7Euser/caf%c3%a9?", "/~user/caf%C3%A9?"),
        ("//", "/"),
        ("/..?a", "/?a"),
        ("/a[1]|b", "/a%5B1%5D%7Cb"),
        ("/a/..", "/"),
    ] {
        assert_eq!(gateway.get(target).await.status, 200, "{target}");
        assert_eq!(app.last().target, seen, "{target}");
    }
    let paths: Vec<_> =
        gateway.access_log(6).await.iter().map(|line| line["path"].to_string()).collect();
    assert_eq!(paths[0], "\"/a/b/d\"", "the log has the path that was matched");
}

#[tokio::test]
async fn a_refused_path_is_logged_as_it_came() {
    let app = Origin::saying("app").await;
    let gateway = Gateway::before(&app).await;
    gateway.get("/x/..%2fadmin?a=b").await.problem(400);
    let line = &gateway.access_log(1).await[0];
    assert_eq!(
        (line["path"].as_str(), line["status"].as_u64()),
        (Some("/x/..%2fadmin"), Some(400))
    );
}

#[tokio::test]
async fn a_listener_may_keep_empty_segments_and_encoded_slashes() {
    let (gateway, app) = guarded(", empty_segments: keep, encoded_slashes: keep").await;
    for (target, seen) in
        [("/files//a%2fb%5Cc/", "/files//a%2Fb%5Cc/"), ("//x/../y", "//y"), ("/a//../b", "/a/b")]
    {
        assert_eq!(gateway.get(target).await.status, 200, "{target}");
        assert_eq!(app.last().target, seen, "{target}");
    }
    // An encoded slash is no way around a dot segment.
    for target in ["/x/..%2fadmin", "/x%2f..%2fadmin", "/x/..%5cadmin", "/x%2f..;%2fadmin"] {
        gateway.get(target).await.problem(400);
    }
    assert_eq!(gateway.get("/x/../admin").await.status, 403);
}

#[tokio::test]
async fn a_target_that_is_none_is_refused() {
    let (gateway, app) = guarded("").await;
    for target in
        ["admin", "\\admin", "?admin", "*", "admin/../x", "myproto:opaque", "/x#admin", "/#", "#x"]
    {
        let request = format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n\r\n");
        gateway.request(&request).await.problem(400);
    }
    let mut client = gateway.connect().await;
    // Pingora encodes what HTTP does not allow in a request line at all.
    for target in ["/adm\u{1}in", "/\tadmin"] {
        client.get(target).await.problem(400);
    }
    assert_eq!(client.get("/x").await.status, 200, "the connection stays usable");
    assert_eq!(app.requests().len(), 1);
}

#[tokio::test]
async fn a_host_that_is_none_is_refused() {
    let app = Origin::saying("app").await;
    let gateway = Gateway::before(&app).await;
    let ask = async |hosts: &str| {
        gateway.request(&format!("GET / HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n")).await
    };
    for host in [
        "a..b",
        ".",
        ":80",
        "a:b",
        "a:99999",
        "a:1:2",
        "a b",
        "a,b",
        "a/b",
        "a%2eb",
        "[::1",
        "::1",
        "[::1%25eth0]",
        "a\\b",
        "caf\u{e9}.test",
    ] {
        ask(&format!("Host: {host}\r\n")).await.problem(400);
    }
    for hosts in ["Host: a\r\nHost: a\r\n", "Host: user@a\r\n", ""] {
        assert_eq!(ask(hosts).await.status, 400, "{hosts:?}");
    }
    for host in ["a", "a.test.", "A:80", "a:", "[::1]:80", "192.0.2.1", "my_app", ""] {
        assert_eq!(ask(&format!("Host: {host}\r\n")).await.status, 200, "{host}");
    }
}

#[tokio::test]
async fn an_authority_and_a_host_that_contradict_each_other_are_refused_over_http_2() {
    let (gateway, app) = guarded("").await;
    let client = gateway.connect_h2().await;
    let request = |authority: &str| Request::get(format!("http://{authority}/x"));
    let contradicted = request("a.test").header("host", "b.test").body(()).unwrap();
    assert_eq!(client.request(contradicted, "").await.unwrap().status, 400);
    let no_host = request("a..test").body(()).unwrap();
    assert_eq!(client.request(no_host, "").await.unwrap().status, 400);
    assert!(app.requests().is_empty());
}

#[tokio::test]
async fn a_target_of_a_form_that_its_request_cannot_have_is_refused() {
    let (gateway, app) = guarded("").await;
    for request in [
        "GET http://a.test/x HTTP/1.1\r\n\r\n",
        "GET a.test:80 HTTP/1.1\r\nHost: a.test:80\r\n\r\n",
        "GET * HTTP/1.1\r\nHost: a.test\r\n\r\n",
    ] {
        assert_eq!(gateway.request(request).await.status, 400, "{request}");
    }
    assert!(app.requests().is_empty());
}
