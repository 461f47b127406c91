//! The answer that won, on its way to the client.

use super::{as_error, gone};
use crate::proxy::exchange::Exchange;
use crate::proxy::outcome;
use crate::proxy::respond::{self, in_time};
use crate::upstream::call::Answering;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderValue, Method, StatusCode, Version, response};
use pingora::Result;
use pingora::http::ResponseHeader;
use pingora::protocols::http::HttpTask;
use pingora_proxy::Session;

/// Streams an answer to the client, each part when the one before was taken. One that breaks off
/// ends the client's too, in a way that it can tell from the framing.
pub async fn to_client(
    session: &mut Session,
    exchange: &mut Exchange,
    answering: Answering,
) -> Result<()> {
    match stream(session, exchange, answering).await {
        Ok(()) => Ok(()),
        Err(error) => Err(outcome::broken(session, exchange, error, false)),
    }
}

async fn stream(
    session: &mut Session,
    exchange: &mut Exchange,
    mut answering: Answering,
) -> Result<()> {
    let mut head = answering.head().clone();
    if may_have_body(&session.req_header().method, head.status) && !is_framed(&head) {
        // Its length is not known: chunks tell the client where it ends (RFC 9112 §7.1).
        head.insert_header(TRANSFER_ENCODING, HeaderValue::from_static("chunked"))?;
    }
    respond::upstream_head(session, &mut head, exchange)?;
    head.set_version(Version::HTTP_11);
    write(session, HttpTask::Header(Box::new(head), false)).await?;
    loop {
        let part = tokio::select! {
            biased;
            part = answering.next_part() => part.map_err(as_error)?,
            error = gone(session) => return Err(error),
        };
        let Some(part) = part else { break };
        outcome::part(Some(&part), exchange);
        in_time(exchange)?;
        write(session, HttpTask::Body(Some(part), false)).await?;
    }
    let end = match answering.finish().await.map_err(as_error)? {
        Some(trailers) => {
            outcome::trailers(&trailers, exchange);
            HttpTask::Trailer(Some(Box::new(trailers)))
        }
        None => HttpTask::Done,
    };
    write(session, end).await
}

async fn write(session: &mut Session, task: HttpTask) -> Result<()> {
    // A list of one, as Pingora's own proxying writes: the client's session takes nothing else.
    session.write_response_tasks(vec![task]).await.map(drop).map_err(|error| error.into_down())
}

/// Whether an answer may have a body at all (RFC 9110 §6.4.1).
fn may_have_body(method: &Method, status: StatusCode) -> bool {
    *method != Method::HEAD && !matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// Whether an answer says where its body ends.
fn is_framed(head: &ResponseHeader) -> bool {
    let head: &response::Parts = head;
    [CONTENT_LENGTH, TRANSFER_ENCODING].iter().any(|name| head.headers.contains_key(name))
}
