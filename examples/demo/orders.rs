//! Who bought what: `/orders`, `/orders/{id}`, `/orders?userId=1`, `POST /orders`, and
//! `/orders/stream`, which sends a line now and then.

use crate::service::{Body, Service, by_id, filtered, found, json_answer, refusal, segments};
use crate::{products, users};
use bytes::Bytes;
use http_body_util::channel::Channel;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The time between two lines of the stream.
const PAUSE: Duration = Duration::from_millis(500);
/// How many lines the stream has.
const LINES: usize = 10;
/// The largest order that is read, in bytes. The gateway refuses earlier.
const LARGEST: usize = 1 << 20;
/// The most orders that are kept; beyond it the oldest go.
const MOST: usize = 1000;

/// The orders service; what is ordered is forgotten when the demo ends.
pub struct Orders(Mutex<Vec<Value>>);

/// What is bought: a product's id, and how many.
type Item = (u64, u64);

/// Id, user, status, what was bought.
type Row = (u64, u64, &'static str, &'static [Item]);

const ORDERS: [Row; 12] = [
    (1001, 2, "delivered", &[(1, 1), (10, 2)]),
    (1002, 3, "delivered", &[(4, 3)]),
    (1003, 2, "shipped", &[(7, 1)]),
    (1004, 5, "shipped", &[(2, 2), (9, 1), (10, 1)]),
    (1005, 8, "paid", &[(5, 4)]),
    (1006, 9, "paid", &[(8, 1), (2, 1)]),
    (1007, 6, "cancelled", &[(12, 6)]),
    (1008, 3, "paid", &[(11, 1)]),
    (1009, 1, "delivered", &[(1, 2)]),
    (1010, 9, "shipped", &[(6, 2), (4, 1)]),
    (1011, 5, "paid", &[(7, 1), (1, 1)]),
    (1012, 10, "paid", &[(9, 2), (10, 4)]),
];

impl Orders {
    /// The orders that were there before.
    pub fn new() -> Self {
        let order = |(id, user, status, items): Row| {
            order(id, user, status, items).expect("the demo's orders are of the demo's products")
        };
        Orders(Mutex::new(ORDERS.map(order).into()))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Value>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn create(&self, request: Request<Incoming>) -> Response<Body> {
        let Ok(body) = Limited::new(request.into_body(), LARGEST).collect().await else {
            return refusal(StatusCode::BAD_REQUEST, "the order did not arrive whole");
        };
        let wanted: Value = match serde_json::from_slice(&body.to_bytes()) {
            Ok(wanted) => wanted,
            Err(error) => return refusal(StatusCode::BAD_REQUEST, &format!("no JSON: {error}")),
        };
        let Some((user, items)) = read(&wanted) else {
            let example = r#"write {"userId": 3, "items": [{"productId": 7, "quantity": 1}]}"#;
            return refusal(StatusCode::UNPROCESSABLE_ENTITY, example);
        };
        if !users::exists(user) {
            return refusal(StatusCode::UNPROCESSABLE_ENTITY, "there is no such user");
        }
        let mut orders = self.lock();
        let id = orders.iter().filter_map(|order| order["id"].as_u64()).max().unwrap_or(1000) + 1;
        let Some(order) = order(id, user, "paid", &items) else {
            return refusal(StatusCode::UNPROCESSABLE_ENTITY, "there is no such product");
        };
        if orders.len() >= MOST {
            orders.remove(0);
        }
        orders.push(order.clone());
        json_answer(StatusCode::CREATED, &order)
    }

    /// Sends one line after another, so that one can watch them pass the gateway.
    fn stream(&self) -> Response<Body> {
        let lines: Vec<String> = {
            let orders = self.lock();
            orders.iter().rev().take(LINES).map(|order| format!("{order}\n")).collect()
        };
        let (mut sender, body) = Channel::<Bytes, Infallible>::new(1);
        tokio::spawn(async move {
            for line in lines {
                if sender.send_data(line.into()).await.is_err() {
                    break;
                }
                tokio::time::sleep(PAUSE).await;
            }
        });
        let mut response = Response::new(body.boxed_unsync());
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
        response
    }
}

impl Service for Orders {
    const NAME: &'static str = "orders";

    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        match (request.method(), &segments(&request)[..]) {
            (&Method::POST, ["orders"]) => self.create(request).await,
            (&Method::GET | &Method::HEAD, ["orders"]) => {
                let orders = filtered(&request, self.lock().clone(), &["userId", "status"]);
                json_answer(StatusCode::OK, &Value::Array(orders))
            }
            (&Method::GET, ["orders", "stream"]) => self.stream(),
            (&Method::GET | &Method::HEAD, ["orders", id]) => found(by_id(self.lock().clone(), id)),
            (&Method::GET | &Method::HEAD, _) => found(None),
            (_, ["orders", ..]) => refusal(StatusCode::METHOD_NOT_ALLOWED, "only GET and POST"),
            _ => found(None),
        }
    }
}

/// Makes an order; none where a product does not exist, or nobody could pay for it.
fn order(id: u64, user: u64, status: &str, items: &[Item]) -> Option<Value> {
    let mut total: u64 = 0;
    let mut lines = Vec::new();
    for &(product, quantity) in items {
        let cents = products::price(product)?;
        total = total.checked_add(cents.checked_mul(quantity)?)?;
        lines.push(json!({ "productId": product, "quantity": quantity, "unitPriceCents": cents }));
    }
    Some(json!({ "id": id, "userId": user, "status": status, "items": lines, "totalCents": total }))
}

/// Reads what somebody wants to buy.
fn read(wanted: &Value) -> Option<(u64, Vec<Item>)> {
    let user = wanted["userId"].as_u64()?;
    let items = wanted["items"].as_array().filter(|items| !items.is_empty())?;
    let item = |item: &Value| Some((item["productId"].as_u64()?, item["quantity"].as_u64()?));
    Some((user, items.iter().map(item).collect::<Option<_>>()?))
}
