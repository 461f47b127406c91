//! Which route answers, and what it makes of the path.

use crate::support::{Gateway, Origin, Setup};

/// Three services behind three prefixes, as people begin.
const THREE: &str = r#"
policies: {auth: none}
services:
  users: {url: "http://<users>"}
  orders: {url: "http://<orders>"}
  notifications: {url: "http://<notifications>"}
routes:
  - name: users
    match: {path: {prefix: /api/users}}
    service: users
    policies: {transform: {request: {path: {strip_prefix: /api}}}}
  - name: orders
    match: {path: {prefix: /api/orders}}
    service: orders
    policies: {transform: {request: {path: {strip_prefix: /api}}}}
  - name: notifications
    match: {path: {prefix: /api/notifications}}
    service: notifications
    policies: {transform: {request: {path: {strip_prefix: /api}}}}
"#;

struct Three {
    gateway: Gateway,
    users: Origin,
    _others: [Origin; 2],
}

async fn three() -> Three {
    let users = Origin::saying("users").await;
    let orders = Origin::saying("orders").await;
    let notifications = Origin::saying("notifications").await;
    let setup = Setup::new(THREE).with("users", &users);
    let setup = setup.with("orders", &orders).with("notifications", &notifications);
    Three { gateway: setup.start().await, users, _others: [orders, notifications] }
}

#[tokio::test]
async fn three_prefixes_go_to_three_services() {
    let three = three().await;
    assert_eq!(three.gateway.get("/api/users").await.text(), "users");
    assert_eq!(three.gateway.get("/api/orders/7/items").await.text(), "orders");
    assert_eq!(three.gateway.get("/api/notifications/").await.text(), "notifications");
}

#[tokio::test]
async fn a_stripped_prefix_leaves_the_rest_of_the_path() {
    let three = three().await;
    three.gateway.get("/api/users/1").await;
    assert_eq!(three.users.last().target, "/users/1");
}

#[tokio::test]
async fn the_query_reaches_the_service_byte_for_byte() {
    let three = three().await;
    let query = "?q=a%20b+c&x=%2F..%2f&&empty=&flag&y=%C3%BC;z='!$*()~";
    // A lone question mark is a query as well.
    for query in [query, "?", "?a=b?c=d/e", ""] {
        three.gateway.get(&format!("/api/users/1{query}")).await;
        assert_eq!(three.users.last().target, format!("/users/1{query}"));
    }
}

#[tokio::test]
async fn a_percent_encoded_path_reaches_the_service_as_it_came() {
    let three = three().await;
    three.gateway.get("/api/users/J%C3%BCrgen%20%40").await;
    assert_eq!(three.users.last().target, "/users/J%C3%BCrgen%20%40");
}

#[tokio::test]
async fn an_unknown_path_is_a_404_problem_with_the_path() {
    let three = three().await;
    let problem = three.gateway.get("/api/invoices?a=1").await.problem(404);
    assert_eq!(problem["path"], "/api/invoices");
}

#[tokio::test]
async fn a_404_leaves_the_connection_usable() {
    let three = three().await;
    let mut client = three.gateway.connect().await;
    assert_eq!(client.get("/nothing").await.status, 404);
    assert_eq!(client.get("/api/users").await.status, 200);
}

#[tokio::test]
async fn a_404_to_head_has_no_body() {
    let three = three().await;
    let mut client = three.gateway.connect().await;
    let response = client.request("HEAD /nothing HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(response.status, 404);
    assert_eq!(client.get("/api/users").await.text(), "users");
}

/// Routes whose names say what they match, each answered by an origin that is told the name.
const NAMED: &str = r#"
policies: {auth: none}
services:
  app: {url: "http://<app>"}
routes:
  - name: users
    match: {path: {prefix: /api/v1/users}}
    service: app
    policies: {transform: {response: {headers: {set: {x-route: users}}}}}
  - name: users-exactly
    match: {path: {exact: /api/v1/users}}
    service: app
    policies: {transform: {response: {headers: {set: {x-route: users-exactly}}}}}
  - name: user-avatars
    match: {path: {prefix: /api/v1/users/avatars}}
    service: app
    policies: {transform: {response: {headers: {set: {x-route: user-avatars}}}}}
  - name: avatar-upload
    match: {path: {prefix: /api/v1/users/avatars}, methods: [PUT]}
    service: app
    policies: {transform: {response: {headers: {set: {x-route: avatar-upload}}}}}
  - name: shop
    match: {hosts: [shop.example.com], path: {prefix: /}}
    service: app
    policies: {transform: {response: {headers: {set: {x-route: shop}}}}}
  - name: reports
    match: {path: {exact: /reports}, methods: [GET, POST]}
    service: app
    policies: {transform: {response: {headers: {set: {x-route: reports}}}}}
  - name: either
    match: {hosts: [one.example.com, two.example.com], path: {exact: /either}}
    service: app
    policies: {transform: {response: {headers: {set: {x-route: either}}}}}
"#;

struct Named(Gateway, Origin);

async fn named() -> Named {
    let app = Origin::saying("app").await;
    Named(Setup::new(NAMED).with("app", &app).start().await, app)
}

impl Named {
    /// The name of the route that answers; the status where none does.
    async fn route(&self, method: &str, host: &str, target: &str) -> String {
        let request = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let response = self.0.request(&request).await;
        let route = response.get("x-route").map(str::to_owned);
        route.unwrap_or_else(|| response.status.to_string())
    }
}

#[tokio::test]
async fn a_prefix_matches_whole_segments() {
    let named = named().await;
    assert_eq!(named.route("GET", "a", "/api/v1/users/2").await, "users");
    assert_eq!(named.route("GET", "a", "/api/v1/users2").await, "404");
    assert_eq!(named.route("GET", "a", "/api/v1/use").await, "404");
}

#[tokio::test]
async fn an_exact_path_wins_over_a_prefix() {
    let named = named().await;
    assert_eq!(named.route("GET", "a", "/api/v1/users").await, "users-exactly");
    assert_eq!(named.route("GET", "a", "/api/v1/users?page=2").await, "users-exactly");
    assert_eq!(named.route("GET", "a", "/api/v1/users/").await, "users");
}

#[tokio::test]
async fn a_longer_prefix_wins_over_a_shorter() {
    let named = named().await;
    assert_eq!(named.route("GET", "a", "/api/v1/users/avatars/1").await, "user-avatars");
}

#[tokio::test]
async fn a_route_with_the_method_wins_over_one_without() {
    let named = named().await;
    assert_eq!(named.route("PUT", "a", "/api/v1/users/avatars/1").await, "avatar-upload");
    assert_eq!(named.route("POST", "a", "/api/v1/users/avatars/1").await, "user-avatars");
}

#[tokio::test]
async fn an_exact_path_matches_nothing_below_it() {
    let named = named().await;
    assert_eq!(named.route("GET", "a", "/reports").await, "reports");
    assert_eq!(named.route("GET", "a", "/reports/").await, "404");
    assert_eq!(named.route("GET", "a", "/reports/1").await, "404");
}

#[tokio::test]
async fn a_host_wins_over_every_path_of_no_host() {
    let named = named().await;
    assert_eq!(named.route("GET", "shop.example.com", "/reports").await, "shop");
}

#[tokio::test]
async fn a_host_is_matched_whatever_its_case_and_port() {
    let named = named().await;
    for host in ["SHOP.example.COM", "shop.example.com:8443", "shop.example.com."] {
        assert_eq!(named.route("GET", host, "/x").await, "shop", "{host}");
    }
    for host in ["myshop.example.com", "shop.example.com.evil.test", "example.com"] {
        assert_eq!(named.route("GET", host, "/x").await, "404", "{host}");
    }
}

#[tokio::test]
async fn any_host_of_a_list_matches() {
    let named = named().await;
    assert_eq!(named.route("GET", "one.example.com", "/either").await, "either");
    assert_eq!(named.route("GET", "two.example.com", "/either").await, "either");
    assert_eq!(named.route("GET", "three.example.com", "/either").await, "404");
}

#[tokio::test]
async fn an_absolute_target_is_matched_by_its_authority_and_reaches_the_service_as_a_path() {
    let Named(gateway, origin) = named().await;
    let target = "http://shop.example.com/absolute?q=1";
    let request = format!("GET {target} HTTP/1.1\r\nHost: shop.example.com\r\n\r\n");
    assert_eq!(gateway.request(&request).await.get("x-route"), Some("shop"));
    assert_eq!(origin.last().target, "/absolute?q=1");
}

#[tokio::test]
async fn an_absolute_target_and_a_host_that_contradict_each_other_are_not_both_believed() {
    // RFC 9112 §3.2.2 lets the target win; refusing is the safer reading.
    let Named(gateway, origin) = named().await;
    let target = "http://shop.example.com/absolute";
    let request = format!("GET {target} HTTP/1.1\r\nHost: one.example.com\r\n\r\n");
    let response = gateway.request(&request).await;
    assert!(response.status == 400 || response.get("x-route") == Some("shop"), "{response:?}");
    assert!(
        origin
            .requests()
            .iter()
            .all(|seen| seen.get("x-forwarded-host") != Some("one.example.com"))
    );
}

#[tokio::test]
async fn a_wrong_method_is_a_405_problem_with_allow() {
    let Named(gateway, _origin) = named().await;
    let response = gateway.request("DELETE /reports HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let problem = response.problem(405);
    assert_eq!(problem["path"], "/reports");
    let mut allowed: Vec<_> = response.get("allow").unwrap().split(", ").collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "POST"]);
}

#[tokio::test]
async fn a_path_that_matches_nothing_is_404_whatever_the_method() {
    let named = named().await;
    assert_eq!(named.route("DELETE", "a", "/nothing").await, "404");
}

#[tokio::test]
async fn a_question_about_the_whole_server_is_answered() {
    // RFC 9110 §9.3.7
    let Named(gateway, _origin) = named().await;
    let mut client = gateway.connect().await;
    let response = client.request("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(response.status < 500, "{response:?}");
    assert_eq!(gateway.get("/reports").await.status, 200);
}
