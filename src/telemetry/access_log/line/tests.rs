//! Lines as collectors read them: parsed as JSON and compared by field.

use std::time::UNIX_EPOCH;

use http::HeaderValue;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn entry(headers: &HeaderMap) -> Entry<'_> {
    Entry {
        time: UNIX_EPOCH + Duration::from_millis(951_782_400_123),
        request_id: "r-1",
        client: IpAddr::from([192, 0, 2, 1]),
        listener: "public",
        method: "GET",
        scheme: "https",
        host: b"api.example.com",
        path: b"/orders",
        query: None,
        protocol: "HTTP/1.1",
        route: None,
        service: None,
        endpoint: None,
        status: 200,
        duration: Duration::from_micros(1234),
        upstream: None,
        bytes_in: 0,
        bytes_out: 777,
        attempts: 0,
        trace_id: None,
        consumer: None,
        subject: None,
        error: None,
        headers,
    }
}

fn line(options: &Options, entry: &Entry<'_>) -> String {
    let mut out = Vec::new();
    Layout::new(options).write(&mut out, &mut Clock::new(), entry);
    String::from_utf8(out).unwrap()
}

fn parsed(options: &Options, entry: &Entry<'_>) -> Value {
    let line = line(options, entry);
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line}"))
}

#[test]
fn full_entry_has_every_field_in_order() {
    let mut headers = HeaderMap::new();
    headers.insert("user-agent", HeaderValue::from_static("oha"));
    let options = Options { headers: vec![http::header::USER_AGENT], ..Options::default() };
    let endpoint = std::net::SocketAddr::from(([10, 0, 0, 7], 8080));
    let entry = Entry {
        query: Some(b"page=2"),
        route: Some("orders"),
        service: Some("shop"),
        endpoint: Some(&endpoint),
        upstream: Some(Duration::from_micros(1100)),
        attempts: 1,
        trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736"),
        error: Some("closed early"),
        ..entry(&headers)
    };
    let expected = concat!(
        r#"{"time":"2000-02-29T00:00:00.123Z","level":"info","request_id":"r-1","#,
        r#""client":"192.0.2.1","listener":"public","method":"GET","scheme":"https","#,
        r#""host":"api.example.com","path":"/orders","query":"page=2","protocol":"HTTP/1.1","#,
        r#""route":"orders","service":"shop","endpoint":"10.0.0.7:8080","status":200,"#,
        r#""duration_ms":1.234,"upstream_ms":1.100,"bytes_in":0,"bytes_out":777,"attempts":1,"#,
        r#""trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","error":"closed early","#,
        r#""headers":{"user-agent":"oha"}}"#,
        "\n"
    );
    assert_eq!(line(&options, &entry), expected);
}

#[test]
fn absent_values_are_left_out() {
    let headers = HeaderMap::new();
    let options = Options { headers: vec![http::header::USER_AGENT], ..Options::default() };
    let expected = json!({
        "time": "2000-02-29T00:00:00.123Z", "level": "info", "request_id": "r-1",
        "client": "192.0.2.1", "listener": "public", "method": "GET", "scheme": "https",
        "host": "api.example.com", "path": "/orders", "protocol": "HTTP/1.1", "status": 200,
        "duration_ms": 1.234, "bytes_in": 0, "bytes_out": 777, "attempts": 0,
    });
    assert_eq!(parsed(&options, &entry(&headers)), expected);
}

#[test]
fn request_that_takes_the_slow_time_is_a_warning() {
    let headers = HeaderMap::new();
    let options = Options { slow: Some(Duration::from_micros(1234)), ..Options::default() };
    let slow = parsed(&options, &entry(&headers));
    assert_eq!((&slow["level"], &slow["slow"]), (&json!("warn"), &json!(true)));

    let faster = Entry { duration: Duration::from_micros(1233), ..entry(&headers) };
    let fast = parsed(&options, &faster);
    assert_eq!((&fast["level"], &fast["slow"]), (&json!("info"), &Value::Null));
}

#[test]
fn masked_header_shows_that_it_was_sent_and_no_value() {
    let mut headers = HeaderMap::new();
    headers.insert("authorization", HeaderValue::from_static("Bearer s"));
    headers.append("cookie", HeaderValue::from_static("a=s"));
    headers.append("cookie", HeaderValue::from_static("b=s"));
    headers.append("accept", HeaderValue::from_static("text/html"));
    headers.append("accept", HeaderValue::from_bytes(b"\xff\"").unwrap());
    let options = Options {
        headers: ["authorization", "cookie", "x-absent", "accept"]
            .map(HeaderName::from_static)
            .to_vec(),
        ..Options::default()
    };
    assert_eq!(
        parsed(&options, &entry(&headers))["headers"],
        json!({"authorization": "***", "cookie": "***", "accept": "text/html, \u{FFFD}\""})
    );
}

#[test]
fn default_options_mask_tokens_in_the_query() {
    let headers = HeaderMap::new();
    let entry = Entry { query: Some(b"access_token=s&token=s&page=2"), ..entry(&headers) };
    assert_eq!(parsed(&Options::default(), &entry)["query"], "access_token=***&token=***&page=2");
}

proptest! {
    #[test]
    fn addresses_are_written_as_the_library_does(client: IpAddr) {
        let headers = HeaderMap::new();
        let entry = Entry { client, ..entry(&headers) };
        let line = parsed(&Options::default(), &entry);
        prop_assert_eq!(&line["client"], &json!(client.to_string()));
    }

    #[test]
    fn whatever_was_sent_the_line_is_one_json_object(
        host: Vec<u8>,
        path: Vec<u8>,
        query: Option<Vec<u8>>,
        plain in ["[A-Za-z0-9._~-]{0,20}", "[A-Za-z0-9._~-]{0,20}"],
        texts: [String; 2],
        numbers: (u16, u64, u64, u32),
        trace_id in "[0-9a-f]{32}",
        header in "[\\x20-\\x7e\\t]{0,20}",
    ) {
        let mut headers = HeaderMap::new();
        headers.insert("x-a", HeaderValue::from_str(&header).unwrap());
        let options = Options {
            mask: Vec::new(),
            headers: vec![HeaderName::from_static("x-a")],
            ..Options::default()
        };
        let entry = Entry {
            host: &host,
            path: &path,
            query: query.as_deref(),
            request_id: &plain[0],
            route: Some(&plain[1]),
            endpoint: Some(&texts[0]),
            error: Some(&texts[1]),
            status: numbers.0,
            bytes_in: numbers.1,
            bytes_out: numbers.2,
            attempts: numbers.3,
            trace_id: Some(&trace_id),
            ..entry(&headers)
        };
        let text = line(&options, &entry);
        prop_assert_eq!(text.find('\n'), Some(text.len() - 1));

        let lossy = |bytes: &[u8]| json!(String::from_utf8_lossy(bytes));
        let line = parsed(&options, &entry);
        prop_assert_eq!(&line["host"], &lossy(&host));
        prop_assert_eq!(&line["path"], &lossy(&path));
        prop_assert_eq!(&line["query"], &query.as_deref().map_or(Value::Null, lossy));
        prop_assert_eq!(&line["trace_id"], &trace_id);
        let keys = ["request_id", "route", "endpoint", "error"];
        for (key, text) in keys.iter().zip(plain.iter().chain(&texts)) {
            prop_assert_eq!(line[key].as_str(), Some(text.as_str()));
        }
        prop_assert_eq!(&line["status"], numbers.0);
        prop_assert_eq!(&line["bytes_in"], numbers.1);
        prop_assert_eq!(&line["bytes_out"], numbers.2);
        prop_assert_eq!(&line["attempts"], numbers.3);
        prop_assert_eq!(line["headers"]["x-a"].as_str(), Some(header.as_str()));
    }
}
