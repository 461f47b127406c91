use super::*;
use crate::exchange::sample::facts;
use crate::upstream::ask::Nobody;

const LISTED: &str = "origins: [\"https://app.example\", \"https://*.app.example\"]";

fn compile(yaml: &str) -> Result<Cors, Invalid> {
    Cors::compile(&serde_yaml::from_str(yaml).unwrap(), &Build::default())
}

/// What an answer with the fields `theirs` says after all, to a request with the fields `asked`.
async fn said(
    yaml: &str,
    method: &str,
    asked: &[(&str, &str)],
    theirs: &[(&str, &str)],
) -> HeaderMap {
    let cors = compile(yaml).unwrap();
    let mut facts = facts();
    let mut request = http::Request::builder().method(method).uri("/");
    for (name, value) in asked {
        request = request.header(*name, *value);
    }
    let client = request.body(()).unwrap().into_parts().0;
    let mut answer = http::Response::builder();
    for (name, value) in theirs {
        answer = answer.header(*name, *value);
    }
    let mut head = answer.body(()).unwrap().into_parts().0;
    let mut state = Preflight::default();
    let judged = cors
        .on_arrival(
            &mut Request { head: &client, facts: &mut facts, services: &Nobody },
            &mut state,
        )
        .await;
    assert_eq!(judged.is_err(), preflight(&client).is_some());
    let mut response = Response { head: &mut head, client: &client, facts: &facts };
    cors.on_response(&mut response, &mut state);
    head.headers
}

fn line(fields: &HeaderMap, name: &str) -> Option<String> {
    let lines: Vec<_> = fields.get_all(name).iter().map(|line| line.to_str().unwrap()).collect();
    (!lines.is_empty()).then(|| lines.join(", "))
}

#[tokio::test]
async fn an_origin_that_is_listed_is_named_and_no_other() {
    for origin in ["https://app.example", "https://a.b.app.example"] {
        let fields = said(LISTED, "GET", &[("origin", origin)], &[]).await;
        assert_eq!(line(&fields, "access-control-allow-origin").as_deref(), Some(origin));
        assert_eq!(line(&fields, "vary").as_deref(), Some("Origin"));
    }
    for asked in [&[("origin", "https://evil.example")][..], &[("origin", "null")], &[]] {
        let fields = said(LISTED, "GET", asked, &[]).await;
        assert_eq!(line(&fields, "access-control-allow-origin"), None);
        assert_eq!(line(&fields, "vary").as_deref(), Some("Origin"));
        assert_eq!(fields.len(), 1);
    }
}

#[tokio::test]
async fn where_every_origin_may_one_answer_is_good_for_all() {
    for asked in [&[("origin", "https://a.example")][..], &[]] {
        let fields = said("origins: \"*\"", "GET", asked, &[]).await;
        assert_eq!(line(&fields, "access-control-allow-origin").as_deref(), Some("*"));
        assert_eq!(line(&fields, "vary"), None);
    }
}

#[tokio::test]
async fn vary_is_added_to_and_not_doubled() {
    for (theirs, wanted) in [
        ("Accept-Encoding", "Accept-Encoding, Origin"),
        ("accept, ORIGIN", "accept, ORIGIN"),
        ("*", "*"),
        ("x-origin", "x-origin, Origin"),
    ] {
        let fields = said(LISTED, "GET", &[], &[("vary", theirs)]).await;
        assert_eq!(line(&fields, "vary").as_deref(), Some(wanted));
    }
}

#[tokio::test]
async fn what_a_service_says_of_origins_does_not_count() {
    let theirs = [
        ("access-control-allow-origin", "*"),
        ("access-control-allow-credentials", "true"),
        ("access-control-expose-headers", "x-secret"),
        ("access-control-max-age", "999"),
        ("x-other", "1"),
    ];
    let fields = said(LISTED, "GET", &[("origin", "https://evil.example")], &theirs).await;
    let mut names: Vec<_> = fields.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["vary", "x-other"]);
    let fields = said(LISTED, "GET", &[("origin", "https://app.example")], &theirs).await;
    assert_eq!(
        line(&fields, "access-control-allow-origin").as_deref(),
        Some("https://app.example")
    );
    assert_eq!(line(&fields, "access-control-allow-credentials"), None);
}

const PREFLIGHT: [(&str, &str); 3] = [
    ("origin", "https://app.example"),
    ("access-control-request-method", "PUT"),
    ("access-control-request-private-network", "true"),
];

#[tokio::test]
async fn a_preflight_is_told_what_a_page_may_do() {
    let yaml = "{origins: [\"https://app.example\"], methods: [PUT, DELETE], \
                headers: [X-A, content-type], expose: [x-b], credentials: true, max_age: 10m, \
                private_network: true}";
    let fields = said(yaml, "OPTIONS", &PREFLIGHT, &[]).await;
    for (name, value) in [
        ("access-control-allow-origin", "https://app.example"),
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-methods", "PUT, DELETE"),
        ("access-control-allow-headers", "x-a, content-type"),
        ("access-control-max-age", "600"),
        ("access-control-allow-private-network", "true"),
        (
            "vary",
            "Origin, Access-Control-Request-Method, Access-Control-Request-Headers, \
             Access-Control-Request-Private-Network",
        ),
    ] {
        assert_eq!(line(&fields, name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(line(&fields, "access-control-expose-headers"), None);
    let fields = said(yaml, "PUT", &PREFLIGHT[..1], &[]).await;
    assert_eq!(line(&fields, "access-control-expose-headers").as_deref(), Some("x-b"));
    assert_eq!(line(&fields, "access-control-allow-methods"), None);
}

#[tokio::test]
async fn a_preflight_without_leave_is_told_nothing() {
    let asked = [("origin", "https://evil.example"), ("access-control-request-method", "PUT")];
    let fields = said(LISTED, "OPTIONS", &asked, &[]).await;
    let vary = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";
    assert_eq!(line(&fields, "vary").as_deref(), Some(vary));
    assert!(fields.keys().all(|name| *name == VARY), "{fields:?}");
}

#[tokio::test]
async fn what_is_not_said_is_left_to_the_browser() {
    let fields = said("origins: \"*\"", "OPTIONS", &PREFLIGHT, &[]).await;
    assert_eq!(line(&fields, "access-control-allow-methods").as_deref(), Some("GET, HEAD, POST"));
    for name in ["headers", "credentials", "private-network"] {
        assert_eq!(line(&fields, &format!("access-control-allow-{name}")), None);
    }
    assert_eq!(line(&fields, "access-control-max-age"), None);
}

#[test]
fn a_preflight_has_an_origin_and_asks_for_a_method() {
    let is_preflight = |method: &str, names: &[&str]| {
        let request = http::Request::builder().method(method).uri("/");
        let request = names.iter().fold(request, |request, name| request.header(*name, "GET"));
        preflight(&request.body(()).unwrap().into_parts().0).is_some()
    };
    let [origin, method] = ["origin", "access-control-request-method"];
    assert!(is_preflight("OPTIONS", &[origin, method]));
    assert!(!is_preflight("OPTIONS", &[origin]));
    assert!(!is_preflight("OPTIONS", &[method]));
    assert!(!is_preflight("GET", &[origin, method]));
}

#[test]
fn a_star_does_not_go_with_credentials() {
    for (key, yaml) in [
        ("origins", "origins: \"*\""),
        ("methods", "{origins: \"https://a.example\", methods: \"*\"}"),
        ("headers", "{origins: \"https://a.example\", headers: [authorization, \"*\"]}"),
        ("expose", "{origins: \"https://a.example\", expose: [\"*\"]}"),
    ] {
        let mut config: Config = serde_yaml::from_str(yaml).unwrap();
        assert!(Cors::compile(&config, &Build::default()).is_ok(), "{yaml}");
        config.credentials = true;
        let refusal = Cors::compile(&config, &Build::default()).unwrap_err().to_string();
        assert!(refusal.starts_with(key) && refusal.contains("`credentials: true`"), "{refusal}");
    }
}
