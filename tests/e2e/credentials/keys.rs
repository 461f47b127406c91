//! API keys: whose they are, where they stand, and that they go no further.

use super::{ACME, ACME_NEXT, gateway, request};

#[tokio::test]
async fn a_key_is_a_consumers_whose_tier_roles_and_tags_are_told() {
    let (gateway, origin) = gateway().await;
    for key in [ACME, ACME_NEXT] {
        for line in [format!("X-API-Key: {key}\r\n"), format!("x-api-key:\t{key} \r\n")] {
            assert_eq!(gateway.request(&request("/key", &line)).await.status, 200);
            let seen = origin.last();
            let told = ["x-user-id", "x-consumer", "x-tier", "x-roles", "x-tags", "x-api-key"];
            let told = told.map(|name| seen.get(name));
            let acme = Some("acme");
            assert_eq!(
                told,
                [acme, acme, Some("business"), Some("partner"), Some("eu,beta"), None]
            );
        }
    }
    let line = &gateway.access_log(4).await[0];
    assert_eq!((&line["consumer"], &line["subject"]), (&"acme".into(), &"acme".into()));
    let labels = [("route", "key"), ("way", "api_key"), ("outcome", "known")];
    gateway.metric("gateway_authentications_total", &labels, 4.0).await;
}

#[tokio::test]
async fn what_is_nobodys_key_is_refused() {
    let (gateway, origin) = gateway().await;
    let long = "x".repeat(7000);
    let upper = ACME.to_uppercase();
    let cut = &ACME[..ACME.len() - 1];
    let longer = format!("{ACME}x");
    let quoted = format!("\"{ACME}\"");
    let twice = format!("{ACME},{ACME}");
    for key in [
        "wrong",
        "",
        &long,
        &upper,
        cut,
        &longer,
        &quoted,
        &twice,
        "a b",
        "\u{e9}",
        &super::sha256(ACME),
    ] {
        let response = gateway.request(&request("/key", &format!("X-API-Key: {key}\r\n"))).await;
        let problem = response.problem(401);
        assert_eq!(problem["title"], "Credentials Invalid", "{key:?}");
        assert_eq!(response.get("www-authenticate"), Some("ApiKey realm=\"sluicegate\""));
        assert!(key.is_empty() || !response.text().contains(key), "{key:?}");
    }
    gateway.request(&request("/key", "")).await.problem(401);
    // The last one is another place than the route's.
    for target in [format!("/key?x-api-key={ACME}"), format!("/key?api_key={ACME}")] {
        let problem = gateway.request(&request(&target, "")).await.problem(401);
        assert_eq!(problem["title"], "Credentials Missing");
    }
    assert_eq!(origin.requests().len(), 0);
}

#[tokio::test]
async fn two_keys_are_not_clear_even_where_they_are_the_same() {
    let (gateway, origin) = gateway().await;
    let lines = format!("X-API-Key: {ACME}\r\n").repeat(2);
    let two = format!("X-API-Key: {ACME}\r\nx-api-key: {ACME_NEXT}\r\n");
    for lines in [lines, two] {
        let problem = gateway.request(&request("/key", &lines)).await.problem(400);
        assert_eq!(problem["title"], "Credentials Ambiguous");
    }
    for (target, lines) in [
        (format!("/anywhere?key={ACME}&key={ACME}"), String::new()),
        (format!("/anywhere?key={ACME}&%6Bey={ACME}"), String::new()),
        (format!("/anywhere?key={ACME}"), format!("X-Key: {ACME_NEXT}\r\n")),
        ("/anywhere".to_owned(), format!("Cookie: key={ACME}; key={ACME_NEXT}\r\n")),
    ] {
        gateway.request(&request(&target, &lines)).await.problem(400);
    }
    assert_eq!(origin.requests().len(), 0);
    // The same one in two places leaves no doubt.
    let lines = format!("X-Key: {ACME}\r\nCookie: key={ACME}\r\n");
    assert_eq!(gateway.request(&request("/anywhere", &lines)).await.status, 200);
}

#[tokio::test]
async fn a_key_goes_no_further_and_the_rest_stays_byte_for_byte() {
    let (gateway, origin) = gateway().await;
    for (sent, left) in [
        (format!("/anywhere?key={ACME}"), "/anywhere"),
        (format!("/anywhere?a=%20+1&key={ACME}&b=&&c"), "/anywhere?a=%20+1&b=&&c"),
        (format!("/anywhere?k%65y={ACME}&a=%2F%2f"), "/anywhere?a=%2F%2f"),
        (format!("/anywhere?Key=1&keys=2&key={ACME}"), "/anywhere?Key=1&keys=2"),
    ] {
        assert_eq!(gateway.request(&request(&sent, "")).await.status, 200, "{sent}");
        assert_eq!(origin.last().target, left, "{sent}");
    }
    for (sent, left) in [
        (format!("key={ACME}"), None),
        (format!("a=1; key={ACME}; b=\"x y\""), Some("a=1; b=\"x y\"")),
        (format!("Key=1; key={ACME}; keys=2"), Some("Key=1; keys=2")),
    ] {
        let response = gateway.request(&request("/anywhere", &format!("Cookie: {sent}\r\n"))).await;
        assert_eq!(response.status, 200, "{sent}");
        assert_eq!(origin.last().get("cookie"), left, "{sent}");
    }
    let lines = format!("X-Key: {ACME}\r\nX-Keys: 1\r\nCookie: a=b;c=d\r\n");
    assert_eq!(gateway.request(&request("/anywhere?x=1", &lines)).await.status, 200);
    let seen = origin.last();
    assert_eq!((seen.get("x-key"), seen.get("x-keys")), (None, Some("1")));
    assert_eq!((seen.get("cookie"), &*seen.target), (Some("a=b;c=d"), "/anywhere?x=1"));
}

#[tokio::test]
async fn a_key_in_the_query_is_no_part_of_the_access_log() {
    let (gateway, _origin) = gateway().await;
    assert_eq!(gateway.get(&format!("/anywhere?a=1&key={ACME}")).await.status, 200);
    let line = &gateway.access_log(1).await[0];
    assert!(!line.to_string().contains(ACME), "{line}");
}

#[tokio::test]
async fn where_credentials_are_forwarded_the_service_gets_them_as_they_came() {
    let (gateway, origin) = gateway().await;
    let target = format!("/forwarded?a=1&key={ACME}");
    assert_eq!(gateway.request(&request(&target, "")).await.status, 200);
    assert_eq!((&*origin.last().target, origin.last().get("x-consumer")), (&*target, Some("acme")));
    let lines = format!("Cookie: a=1; key={ACME}\r\n");
    assert_eq!(gateway.request(&request("/forwarded", &lines)).await.status, 200);
    assert_eq!(origin.last().get("cookie"), Some(&*format!("a=1; key={ACME}")));
}
