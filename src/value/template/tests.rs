use super::*;
use crate::value::outside::Outside;

/// A request with a few values.
struct Request;

impl Source for Request {
    fn value(&self, reference: &Reference) -> Option<Cow<'_, [u8]>> {
        let value: &[u8] = match reference {
            Reference::ClientIp => b"192.0.2.7",
            Reference::RequestMethod => b"GET",
            Reference::RequestPath => b"/a%2Fb/c:d",
            Reference::RequestHost => b"[::1]:80/\\",
            Reference::Header(name) if name == "x-empty" => b"",
            Reference::Header(name) if name == "x-user" => b"ann",
            Reference::Query(name) if name == "id" => b"a/b?c=1&d \xff%",
            Reference::Query(name) if name == "up" => b"..",
            Reference::Query(name) if name == "dot" => b".",
            _ => return None,
        };
        Some(Cow::Borrowed(value))
    }
}

fn look_up(outside: &Outside) -> Result<Option<String>, Invalid> {
    let found = match outside {
        Outside::Variable(name) => match name.as_str() {
            "REGION" => "eu-1",
            "EMPTY" => "",
            "TRICKY" => "$(client.ip)",
            _ => return Ok(None),
        },
        Outside::File(path) if path == "keys/a.secret" => "from a file",
        Outside::File(_) => return Err(Invalid::new("no such file")),
    };
    Ok(Some(found.to_owned()))
}

fn template(text: &str) -> Template {
    Template::parse(text, &look_up).unwrap()
}

fn refusal(text: &str) -> String {
    Template::parse(text, &look_up).unwrap_err().to_string()
}

fn rendered(text: &str) -> Option<String> {
    let mut out = b"before:".to_vec();
    let complete = template(text).render(&Request, &mut out);
    let text = String::from_utf8(out.split_off(7)).unwrap();
    assert_eq!(out, b"before:");
    assert!(complete || text.is_empty(), "what was missing leaves nothing behind");
    complete.then_some(text)
}

fn path(text: &str) -> Option<String> {
    let mut out = Vec::new();
    let complete = template(text).render_path(&Request, &mut out);
    assert!(complete || out.is_empty(), "what was missing leaves nothing behind");
    complete.then(|| String::from_utf8(out).unwrap())
}

#[test]
fn text_without_references_is_literal() {
    for text in ["", "gateway", "100% $ of (it)", "$5", "a$", "$$"] {
        assert_eq!(template(text).as_literal(), Some(text));
        assert_eq!(rendered(text).as_deref(), Some(text));
    }
}

#[test]
fn doubled_dollar_is_a_literal_reference() {
    assert_eq!(template("$$(client.ip)").as_literal(), Some("$(client.ip)"));
    assert_eq!(template("$$$(x)").as_literal(), Some("$$(x)"));
    assert_eq!(rendered("$(\"$\")$(client.ip)").as_deref(), Some("$192.0.2.7"));
}

#[test]
fn references_are_replaced() {
    assert_eq!(
        rendered("ip=$(client.ip), $( request.method )!").as_deref(),
        Some("ip=192.0.2.7, GET!")
    );
    assert_eq!(template("$(client.ip)").as_literal(), None);
    let template = template("$(client.ip)-$(header.a ?? cookie.b)");
    let names: Vec<_> = template.references().map(Reference::to_string).collect();
    assert_eq!(names, ["client.ip", "header.a", "cookie.b"]);
}

#[test]
fn a_template_that_is_one_reference_is_told_from_text() {
    assert_eq!(template("$( client.ip )").as_reference(), Some(&Reference::ClientIp));
    assert_eq!(template("$(client.ip ?? env:NONE)").as_reference(), Some(&Reference::ClientIp));
    for text in [
        "",
        "text",
        "a$(client.ip)",
        "$(client.ip)$(client.ip)",
        "$(client.ip ?? request.id)",
        "$(client.ip ?? \"none\")",
        "$(env:REGION)",
    ] {
        assert_eq!(template(text).as_reference(), None, "{text}");
    }
}

#[test]
fn first_alternative_that_is_there_wins() {
    assert_eq!(rendered("$(header.x-none ?? header.x-user ?? client.ip)").as_deref(), Some("ann"));
    assert_eq!(rendered("$(header.x-none??header.x-user)").as_deref(), Some("ann"));
    assert_eq!(
        rendered("$(header.x-none ?? \"no \\\"one\\\" \\\\ )\")").as_deref(),
        Some("no \"one\" \\ )")
    );
    assert_eq!(rendered("<$(header.x-empty ?? \"none\")>").as_deref(), Some("<>"));
}

#[test]
fn missing_value_restores_the_output() {
    assert_eq!(rendered("some $(client.ip) and $(header.x-none)"), None);
    assert_eq!(path("/a/$(header.x-none)"), None);
}

#[test]
fn variables_are_resolved_at_load() {
    assert_eq!(template("gw-$(env:REGION)-1").as_literal(), Some("gw-eu-1-1"));
    assert_eq!(template("$(env:NONE ?? \"here\")").as_literal(), Some("here"));
    assert_eq!(template("$(env:NONE ?? env:REGION)").as_literal(), Some("eu-1"));
    assert_eq!(template("<$(env:EMPTY ?? \"x\")>").as_literal(), Some("<>"));
    assert_eq!(rendered("$(header.x-none ?? env:REGION)").as_deref(), Some("eu-1"));
    assert_eq!(rendered("$(header.x-none ?? env:NONE)"), None);
}

#[test]
fn text_behind_a_variable_needs_no_quotes() {
    assert_eq!(template("$(env:NONE ?? info)").as_literal(), Some("info"));
    assert_eq!(template("$(env:NONE ?? 127.0.0.1:8080 )").as_literal(), Some("127.0.0.1:8080"));
    assert_eq!(template("$(env:NONE ?? env:NADA ?? two words)").as_literal(), Some("two words"));
    assert_eq!(template("$(env:REGION ?? info)").as_literal(), Some("eu-1"));
    assert_eq!(rendered("$(env:NONE ?? client.ip)").as_deref(), Some("192.0.2.7"));
    assert!(refusal("$(env:NONE ?? client.pi)").contains("did you mean `client.ip`?"));
    assert!(refusal("$(header.x-none ?? info)").contains("unknown reference `info`"));
}

#[test]
fn files_are_read_at_load() {
    assert_eq!(template("$(file:keys/a.secret)!").as_literal(), Some("from a file!"));
    assert!(refusal("$(file:nothing ?? text)").contains("no such file"));
}

#[test]
fn variable_is_not_parsed_again() {
    assert_eq!(template("$(env:TRICKY)").as_literal(), Some("$(client.ip)"));
}

#[test]
fn variable_that_is_not_set_is_refused() {
    assert!(refusal("$(env:NONE)").contains("`NONE` is not set"));
    assert!(refusal("$(env:NONE ?? env:NADA)").contains("is not set"));
}

#[test]
fn variable_is_never_printed() {
    let template = template("$(env:REGION)");
    assert_eq!(format!("{template} {template:?}"), "$(env:REGION) Template(\"$(env:REGION)\")");
}

#[test]
fn malformed_template_hears_what_is_wrong() {
    for (text, message) in [
        ("$(client.ip", "`$(client.ip` is not closed"),
        ("$(", "is not closed"),
        ("$(client.ip ?? ", "is not closed"),
        ("$()", "misses a reference"),
        ("$(?? client.ip)", "misses a reference"),
        ("$(client.ip ??)", "misses a reference"),
        ("$(client.ip request.id)", "needs `??` or `)` before `request.id)`"),
        ("$(\"a\" ?? client.ip)", "never used"),
        ("$(header.x ?? \"a)", "is not closed"),
        ("$(env:)", "after `env:`, is missing"),
        ("$(client.pi)", "did you mean `client.ip`?"),
        ("$(identity)", "`identity` alone says nothing"),
    ] {
        let refusal = refusal(text);
        assert!(refusal.contains(message), "{text}: {refusal}");
    }
}

#[test]
fn values_are_encoded_in_paths_and_literals_kept() {
    assert_eq!(path("/v1:x/$(query.id)/é").as_deref(), Some("/v1:x/a%2Fb%3Fc=1&d%20%FF%25/é"));
    assert_eq!(path("/$(header.x-none ?? \"a/b\")").as_deref(), Some("/a/b"));
}

#[test]
fn value_behind_a_question_mark_cannot_add_parameters() {
    assert_eq!(path("/x?id=$(query.id)").as_deref(), Some("/x?id=a%2Fb%3Fc%3D1%26d%20%FF%25"));
}

#[test]
fn value_cannot_climb_out_of_its_path() {
    assert_eq!(path("/users/$(query.up)/secrets"), None);
    assert_eq!(path("/users/$(query.dot)$(query.dot)"), None);
    assert_eq!(path("/users/v$(query.up)").as_deref(), Some("/users/v.."));
    assert_eq!(path("/users?up=$(query.up)").as_deref(), Some("/users?up=.."));
}

#[test]
fn bad_template_is_placed_in_the_file() {
    let error = serde_yaml::from_str::<Vec<Template>>("- a\n- $(client.pi)\n").unwrap_err();
    assert!(error.to_string().contains("did you mean `client.ip`?"), "{error}");
    assert_eq!(error.location().map(|at| (at.line(), at.column())), Some((2, 3)));
}

#[test]
fn the_requests_path_is_a_path_and_its_host_stays_within_one() {
    assert_eq!(path("/v1$(request.path)").as_deref(), Some("/v1/a%2Fb/c:d"));
    assert_eq!(path("/?of=$(request.path)").as_deref(), Some("/?of=%2Fa%252Fb%2Fc%3Ad"));
    assert_eq!(path("//$(request.host)/").as_deref(), Some("//[::1]:80%2F%5C/"));
}
