use super::*;
use crate::exchange::sample::facts;

fn compile(yaml: &str) -> Result<Redirect, Invalid> {
    Redirect::compile(&serde_yaml::from_str(yaml).unwrap())
}

fn refusal(yaml: &str) -> String {
    compile(yaml).unwrap_err().to_string()
}

/// Where a redirect leads a request for `target` of `a.example:8080`; the status of its refusal
/// where it leads nowhere.
fn location(yaml: &str, target: &str) -> Result<String, u16> {
    asked_of(yaml, "a.example:8080", target)
}

fn asked_of(yaml: &str, host: &str, target: &str) -> Result<String, u16> {
    let head = http::Request::get(target).header("host", host).body(()).unwrap().into_parts().0;
    let facts = facts();
    let reply = compile(yaml).unwrap().reply(References { head: &head, facts: &facts });
    let reply = reply.map_err(|rejection| rejection.status().as_u16())?;
    let [(name, value)] = &reply.headers[..] else { panic!("{:?}", reply.headers) };
    assert_eq!((name, reply.body.len()), (&LOCATION, 0));
    Ok(value.to_str().unwrap().to_owned())
}

fn leads(yaml: &str, target: &str, wanted: &str) {
    assert_eq!(location(yaml, target).as_deref(), Ok(wanted), "{yaml}");
}

#[test]
fn a_whole_target_is_where_it_leads() {
    leads("to: \"https://docs.example.com/\"", "/docs?a=b", "https://docs.example.com/");
    leads("to: /new", "/docs?a=b", "/new");
    leads("{to: /new, keep_query: true}", "/docs?a=b", "/new?a=b");
    leads("{to: /new, keep_query: true}", "/docs", "/new");
    leads(
        "to: \"https://new.example$(request.path)\"",
        "/a%2Fb/c?d",
        "https://new.example/a%2Fb/c",
    );
    leads("to: \"https://$(request.host)/x\"", "/a", "https://a.example:8080/x");
}

#[test]
fn what_is_not_said_stays_as_the_request_has_it() {
    leads("scheme: https", "/a/b?c=d", "https://a.example/a/b?c=d");
    leads("host: b.example", "/a/b?c=d", "//b.example/a/b?c=d");
    leads("{scheme: https, host: \"b.example:8443\"}", "/a?c", "https://b.example:8443/a?c");
    leads("path: /new", "/a?c=d", "/new?c=d");
    leads("{path: \"$(request.path)/\", keep_query: false}", "/a?c=d", "/a/");
}

#[test]
fn the_port_of_an_address_goes_with_its_scheme() {
    let at = |host: &str| asked_of("scheme: https", host, "/a");
    assert_eq!(at("[2001:db8::1]:8080").as_deref(), Ok("https://[2001:db8::1]/a"));
    assert_eq!(at("[2001:db8::1]").as_deref(), Ok("https://[2001:db8::1]/a"));
    assert_eq!(at("a.example").as_deref(), Ok("https://a.example/a"));
    assert_eq!(at("a.example/@b"), Err(400));
}

#[test]
fn values_stay_where_they_stand() {
    let to = "to: \"/find/$(query.a)?q=$(query.q)\"";
    leads(to, "/?a=x%2Fy%0d%0a&q=1%262", "/find/x%2Fy%0D%0A?q=1%262");
    assert_eq!(location(to, "/?a=1"), Err(404));
    assert_eq!(location(to, "/?a=..&q=1"), Err(404));
}

#[test]
fn a_client_does_not_choose_the_host() {
    for to in [
        "$(query.to)",
        "https://$(query.host)/",
        "https://$(request.host ?? query.host)/",
        "https://docs.example$(query.rest)",
        "https://docs.example:$(query.port)/",
        "//$(query.host)/",
        "https:$(query.rest)",
        "https:/$(query.rest)",
        "https:///$(query.rest)",
    ] {
        let refusal = refusal(&format!("to: \"{to}\""));
        assert!(refusal.contains("a client would choose the host"), "{to}: {refusal}");
    }
    // An empty first segment would make a host of the second.
    let to = "to: \"/$(query.a)/$(query.b)\"";
    assert_eq!(location(to, "/?a=&b=evil.example"), Err(404));
    leads(to, "/?a=%2F&b=evil.example", "/%2F/evil.example");
    assert_eq!(location("path: \"$(request.path)/\"", "//evil.example"), Err(404));
}

#[test]
fn the_target_of_options_is_no_path() {
    assert_eq!(location("to: \"https://a.example$(request.path)\"", "*"), Err(404));
    assert_eq!(location("scheme: https", "*"), Err(404));
}

#[test]
fn what_is_no_redirect_is_refused() {
    assert!(refusal("{to: /a, status: 304}").starts_with("status: 304 does not redirect"));
    assert!(refusal("{}").contains("leads somewhere"));
    assert!(refusal("{to: /a, host: b}").contains("write either"));
    assert!(refusal("{to: new/path}").contains("begins with `/`"));
    assert!(refusal("{to: \"https://\"}").contains("begins with `/`"));
    assert!(refusal("{to: \"/a b\"}").contains("has no ' '"));
    assert!(refusal("{to: \"/a?b\", keep_query: true}").contains("none of its own"));
    assert!(refusal("{path: a}").contains("begins with `/`"));
    assert!(refusal("{path: /a?b}").contains("no query"));
    assert!(refusal("{host: \"a/b\"}").starts_with("host: `a/b` is no host"));
    assert!(refusal("{host: \"u@a\"}").starts_with("host: `u@a` is no host"));
}

#[test]
fn the_method_stays_and_nobody_remembers_unless_it_is_said() {
    assert_eq!(compile("to: /a").unwrap().status, 307);
    assert_eq!(compile("{to: /a, status: 301}").unwrap().status, 301);
}
