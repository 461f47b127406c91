//! What clients hear of limits: the fields of their answers, and the answer that refuses.

use super::{behind_a_proxy, by, let_through, limited, of, over, started, statuses, with};
use crate::identity::jwt;
use crate::support::{Gateway, Origin, Setup};

/// An address, a user, and a user's payments, each with a limit of its own.
async fn shop() -> (Gateway, Origin) {
    let document = format!(
        r#"
policies:
  auth: {{{}}}
  rate_limit:
    - {{name: per-ip, key: $(client.ip), limit: 12/15m}}
    - {{name: per-user, key: $(identity.sub), limit: 5/h}}
services: {{app: {{url: "http://<app>"}}}}
routes:
  - {{name: all, match: {{path: {{prefix: /}}}}, service: app}}
  - name: payments
    match: {{path: {{prefix: /api/payments}}}}
    service: app
    policies: {{rate_limit: [{{name: payments, key: $(identity.sub), limit: 2/h}}]}}
"#,
        jwt()
    );
    let origin = Origin::saying("hello").await;
    (behind_a_proxy(Setup::new(&document)).with("app", &origin).start().await, origin)
}

#[tokio::test]
async fn each_address_has_a_hundred_requests_in_a_quarter_of_an_hour() {
    let (gateway, origin) = started("name: per-ip, key: $(client.ip), limit: 100/15m").await;
    let mut client = gateway.connect().await;
    let first = client.request(&of("203.0.113.1")).await;
    assert_eq!(first.get("ratelimit-policy"), Some("\"per-ip\";q=100;w=900"));
    assert!(first.get("ratelimit").unwrap().starts_with("\"per-ip\";r=99;t="), "{first:?}");
    let_through(&statuses(&mut client, 99, &of("203.0.113.1")).await, 99);
    let refused = client.request(&of("203.0.113.1")).await;
    let seconds = over(&refused, "per-ip");
    assert!((1..=900).contains(&seconds), "{seconds}");
    assert_eq!(refused.get("ratelimit-policy"), Some("\"per-ip\";q=100;w=900"));
    assert!(refused.get("ratelimit").unwrap().starts_with("\"per-ip\";r=0;t="), "{refused:?}");
    assert_eq!(client.request(&of("203.0.113.2")).await.status, 200);
    assert_eq!(origin.requests().len(), 101);
}

#[tokio::test]
async fn a_user_has_a_general_limit_and_a_smaller_one_for_payments() {
    let (gateway, _origin) = shop().await;
    let mut client = gateway.connect().await;
    let paid = client.request(&by("ann", "/api/payments")).await;
    assert_eq!(
        paid.get("ratelimit-policy"),
        Some("\"per-ip\";q=12;w=900, \"per-user\";q=5;w=3600, \"payments\";q=2;w=3600"),
    );
    let left = paid.get("ratelimit").unwrap();
    let [ip, user, payments] = left.split(", ").collect::<Vec<_>>()[..] else { panic!("{left}") };
    assert!(ip.starts_with("\"per-ip\";r=11;") && user.starts_with("\"per-user\";r=4;"), "{left}");
    assert!(payments.starts_with("\"payments\";r=1;"), "{left}");
    let_through(&statuses(&mut client, 1, &by("ann", "/api/payments")).await, 1);
    over(&client.request(&by("ann", "/api/payments")).await, "payments");
    // What payments refused has cost nothing of the general limit, of which three are left.
    let_through(&statuses(&mut client, 3, &by("ann", "/products")).await, 3);
    over(&client.request(&by("ann", "/products")).await, "per-user");
    assert_eq!(client.request(&by("bob", "/api/payments")).await.status, 200);
}

#[tokio::test]
async fn the_older_fields_tell_of_the_nearest_limit() {
    let limits = "{name: day, key: a, limit: 100/d, headers: x_ratelimit}, \
                  {name: hour, key: a, limit: 2/h, headers: x_ratelimit}";
    let origin = Origin::saying("hello").await;
    let setup = Setup::one_route(&format!("rate_limit: [{limits}]")).with("app", &origin);
    let gateway = setup.start().await;
    for left in ["1", "0"] {
        let told = gateway.get("/").await;
        assert_eq!(told.get("x-ratelimit-limit"), Some("2"));
        assert_eq!(told.get("x-ratelimit-remaining"), Some(left));
        let reset: u64 = told.get("x-ratelimit-reset").unwrap().parse().unwrap();
        assert!((1..=7_200).contains(&reset), "{reset}");
        assert_eq!(told.get("ratelimit"), None);
    }
    let refused = gateway.get("/").await;
    over(&refused, "hour");
    assert_eq!(refused.get("x-ratelimit-remaining"), Some("0"));
}

#[tokio::test]
async fn nothing_is_told_where_that_is_wished_but_when_to_ask_again() {
    let (gateway, _origin) = started("name: own, key: a, limit: 1/h, headers: none").await;
    let first = gateway.get("/").await;
    let refused = gateway.get("/").await;
    over(&refused, "own");
    for name in ["ratelimit", "ratelimit-policy", "x-ratelimit-limit", "x-ratelimit-reset"] {
        assert_eq!((first.get(name), refused.get(name)), (None, None), "{name}");
    }
}

#[tokio::test]
async fn both_kinds_of_fields_stand_beside_those_of_the_service() {
    let origin = Origin::start(|mut call| async move {
        call.reply(200, "RateLimit: \"theirs\";r=7\r\nX-RateLimit-Limit: 9\r\n", "hello").await;
        call
    })
    .await;
    let setup = limited("name: own, key: a, limit: 3/h, headers: both").with("app", &origin);
    let told = setup.start().await.get("/").await;
    let lists = told.head.all("ratelimit");
    assert_eq!(lists[0], "\"theirs\";r=7");
    assert!(lists[1].starts_with("\"own\";r=2;t="), "{lists:?}");
    // There is room for one, and it is the gateway's that a client meets first.
    assert_eq!(told.get("x-ratelimit-limit"), Some("3"));
}

#[tokio::test]
async fn a_page_of_another_origin_can_read_that_it_is_over_the_limit() {
    let policies = "rate_limit: [{name: own, key: a, limit: 1/h}], \
                    cors: {origins: [\"https://app.example\"], expose: [retry-after]}";
    let origin = Origin::saying("hello").await;
    let gateway = Setup::one_route(policies).with("app", &origin).start().await;
    let ask = with("/", "Origin: https://app.example\r\nX-Request-Id: 7c2f\r\n");
    assert_eq!(gateway.request(&ask).await.status, 200);
    let refused = gateway.request(&ask).await;
    over(&refused, "own");
    assert_eq!(refused.get("access-control-allow-origin"), Some("https://app.example"));
    assert_eq!(refused.get("access-control-expose-headers"), Some("retry-after"));
    assert!(refused.head.lists("vary", "origin"), "{refused:?}");
    assert!(refused.get("x-request-id").is_some_and(|id| !id.is_empty()));
}

#[tokio::test]
async fn a_refusal_is_logged_with_its_limit() {
    let (gateway, _origin) = started("name: own, key: a, limit: 1/h").await;
    gateway.get("/").await;
    gateway.get("/").await;
    let lines = gateway.access_log(2).await;
    assert_eq!(lines[1]["status"], 429);
    assert!(lines[1].to_string().contains("over the limit `routes.all:own`"), "{}", lines[1]);
}
