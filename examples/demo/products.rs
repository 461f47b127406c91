//! What is sold: `/products`, `/products/{id}`, `/products?category=coffee`, and
//! `/products/{id}/slow`, which takes its time.

use crate::service::{Body, Service, by_id, filtered, found, json_answer, refusal, segments};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;

/// How long `/products/{id}/slow` takes.
const SLOW: Duration = Duration::from_millis(1500);

/// The products service.
pub struct Products;

/// Id, name, category, price in cents, pieces in stock.
const PRODUCTS: [(u64, &str, &str, u64, u64); 12] = [
    (1, "Espresso beans, 1 kg", "coffee", 2290, 120),
    (2, "Filter roast, 500 g", "coffee", 1350, 64),
    (3, "Decaf, 250 g", "coffee", 890, 0),
    (4, "Assam, 100 g", "tea", 740, 210),
    (5, "Sencha, 100 g", "tea", 1120, 37),
    (6, "Rooibos, 200 g", "tea", 680, 95),
    (7, "Hand grinder", "equipment", 8900, 12),
    (8, "Gooseneck kettle", "equipment", 6450, 8),
    (9, "Dripper, ceramic", "equipment", 2400, 31),
    (10, "Paper filters, 100", "supplies", 450, 800),
    (11, "Descaler, 500 ml", "supplies", 790, 140),
    (12, "Cupping spoon", "equipment", 1290, 26),
];

fn all() -> Vec<Value> {
    let product = |(id, name, category, cents, stock)| json!({ "id": id, "name": name, "category": category, "priceCents": cents, "stock": stock });
    PRODUCTS.map(product).into()
}

/// What a product costs, in cents; none where there is no such product.
pub fn price(id: u64) -> Option<u64> {
    PRODUCTS.iter().find(|product| product.0 == id).map(|product| product.3)
}

impl Service for Products {
    const NAME: &'static str = "products";

    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        match (request.method(), &segments(&request)[..]) {
            (&Method::GET | &Method::HEAD, ["products"]) => {
                let products = filtered(&request, all(), &["category"]);
                json_answer(StatusCode::OK, &Value::Array(products))
            }
            (&Method::GET | &Method::HEAD, ["products", id]) => found(by_id(all(), id)),
            (&Method::GET | &Method::HEAD, ["products", id, "slow"]) => {
                tokio::time::sleep(SLOW).await;
                found(by_id(all(), id))
            }
            (&Method::GET | &Method::HEAD, _) => found(None),
            (_, ["products", ..]) => {
                refusal(StatusCode::METHOD_NOT_ALLOWED, "products are read here")
            }
            _ => found(None),
        }
    }
}
