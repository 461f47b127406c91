//! Who buys: `/users`, `/users/{id}`, `/users?role=admin`.

use crate::service::{Body, Service, by_id, filtered, found, json_answer, refusal, segments};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};

/// The users service.
pub struct Users;

/// Id, name, email, role, city.
const USERS: [(u64, &str, &str, &str, &str); 10] = [
    (1, "Ada Lindqvist", "ada@example.com", "admin", "Uppsala"),
    (2, "Bruno Carvalho", "bruno@example.com", "customer", "Porto"),
    (3, "Chidi Okafor", "chidi@example.com", "customer", "Lagos"),
    (4, "Dorota Zielińska", "dorota@example.com", "support", "Gdańsk"),
    (5, "Emre Yıldız", "emre@example.com", "customer", "İzmir"),
    (6, "Farah Haddad", "farah@example.com", "customer", "Beirut"),
    (7, "Giulia Moretti", "giulia@example.com", "support", "Trieste"),
    (8, "Haruto Sato", "haruto@example.com", "customer", "Sendai"),
    (9, "Ingrid Moe", "ingrid@example.com", "customer", "Tromsø"),
    (10, "João Almeida", "joao@example.com", "admin", "Recife"),
];

fn all() -> Vec<Value> {
    let user = |(id, name, email, role, city)| json!({ "id": id, "name": name, "email": email, "role": role, "city": city });
    USERS.map(user).into()
}

/// Whether there is such a user.
pub fn exists(id: u64) -> bool {
    USERS.iter().any(|user| user.0 == id)
}

impl Service for Users {
    const NAME: &'static str = "users";

    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        match (request.method(), &segments(&request)[..]) {
            (&Method::GET | &Method::HEAD, ["users"]) => {
                let users = filtered(&request, all(), &["role", "city"]);
                json_answer(StatusCode::OK, &Value::Array(users))
            }
            (&Method::GET | &Method::HEAD, ["users", id]) => found(by_id(all(), id)),
            (&Method::GET | &Method::HEAD, _) => found(None),
            (_, ["users", ..]) => refusal(StatusCode::METHOD_NOT_ALLOWED, "users are read here"),
            _ => found(None),
        }
    }
}
