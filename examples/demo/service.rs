//! Just enough HTTP for a service: it answers JSON, and says what it has seen.

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// The body of an answer, whole or streamed.
pub type Body = UnsyncBoxBody<Bytes, Infallible>;

/// One of the demo's services.
pub trait Service: Send + Sync + 'static {
    /// Its name, which all of its paths begin with.
    const NAME: &'static str;

    /// Answers a request.
    fn answer(&self, request: Request<Incoming>) -> impl Future<Output = Response<Body>> + Send;
}

/// Serves for as long as the demo runs.
pub async fn serve<S: Service>(listener: TcpListener, service: Arc<S>) {
    let here = listener.local_addr().map_or_else(|_| String::new(), |address| address.to_string());
    let name = header(format!("{} at {here}", S::NAME));
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                eprintln!("the {} service cannot accept: {error}", S::NAME);
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (service, name) = (Arc::clone(&service), name.clone());
        let answer = service_fn(move |request| {
            let (service, name) = (Arc::clone(&service), name.clone());
            async move { Ok::<_, Infallible>(answer(&*service, name, request).await) }
        });
        tokio::spawn(async move {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), answer);
            // An error here is a client that went away, as the gateway does when it stops.
            let _ = connection.await;
        });
    }
}

async fn answer<S: Service>(
    service: &S,
    name: HeaderValue,
    request: Request<Incoming>,
) -> Response<Body> {
    let saw = header(format!("{} {}", request.method(), request.uri()));
    let mut response = match segments(&request)[..] {
        [first, "whoami"] if first == S::NAME => whoami(S::NAME, &request),
        _ => service.answer(request).await,
    };
    let headers = response.headers_mut();
    headers.insert("x-demo-service", name);
    headers.insert("x-demo-saw", saw);
    response
}

fn header(text: String) -> HeaderValue {
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("?"))
}

/// Shows a request as it arrived.
fn whoami(name: &str, request: &Request<Incoming>) -> Response<Body> {
    let seen = json!({
        "service": name,
        "method": request.method().as_str(),
        "path": request.uri().path(),
        "query": request.uri().query(),
        "headers": fields(request.headers()),
    });
    json_answer(StatusCode::OK, &seen)
}

/// Header fields by name; several lines of one name as a list.
fn fields(headers: &HeaderMap) -> Map<String, Value> {
    let value = |value: &HeaderValue| Value::from(String::from_utf8_lossy(value.as_bytes()));
    let field = |name: &hyper::header::HeaderName| {
        let mut values: Vec<Value> = headers.get_all(name).iter().map(value).collect();
        let value = if values.len() == 1 { values.remove(0) } else { Value::Array(values) };
        (name.to_string(), value)
    };
    headers.keys().map(field).collect()
}

/// The path's segments.
pub fn segments<T>(request: &Request<T>) -> Vec<&str> {
    request.uri().path().split('/').filter(|segment| !segment.is_empty()).collect()
}

/// A query parameter, decoded.
pub fn query<T>(request: &Request<T>, name: &str) -> Option<String> {
    let pairs = request.uri().query()?.split('&');
    let mut pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let (_, value) = pairs.find(|(key, _)| *key == name)?;
    Some(percent_decode_str(&value.replace('+', " ")).decode_utf8_lossy().into_owned())
}

/// The things that a filter such as `?role=admin` asks for: all where nothing is asked for.
pub fn filtered<T>(request: &Request<T>, all: Vec<Value>, keys: &[&str]) -> Vec<Value> {
    let wanted = keys.iter().filter_map(|key| Some((*key, query(request, key)?)));
    let wanted: Vec<(&str, String)> = wanted.collect();
    let keep = |thing: &Value| wanted.iter().all(|(key, text)| as_typed(&thing[*key]) == *text);
    all.into_iter().filter(keep).collect()
}

/// The thing with that id.
pub fn by_id(all: Vec<Value>, id: &str) -> Option<Value> {
    all.into_iter().find(|thing| as_typed(&thing["id"]) == id)
}

/// A value as one types it in a URL: text without its quotes.
fn as_typed(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Answers with JSON, indented for who reads it in a terminal.
pub fn json_answer(status: StatusCode, value: &Value) -> Response<Body> {
    let mut text = serde_json::to_string_pretty(value).expect("a JSON value serialises");
    text.push('\n');
    let mut response = Response::new(Full::from(text).boxed_unsync());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Answers with JSON, or that there is no such thing.
pub fn found(thing: Option<Value>) -> Response<Body> {
    match thing {
        Some(thing) => json_answer(StatusCode::OK, &thing),
        None => refusal(StatusCode::NOT_FOUND, "the service has no such thing"),
    }
}

/// Answers with what is wrong. It is the service's own word, which the gateway passes on.
pub fn refusal(status: StatusCode, why: &str) -> Response<Body> {
    json_answer(status, &json!({ "error": why }))
}
