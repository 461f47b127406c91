//! Copies of requests, which go to a second service while the client is served by the first.
//!
//! A client pays for it with a copy of its head and of its body's parts, and waits for nothing: the
//! copy is sent by a task of its own once the whole request is there, and whatever comes of it is
//! counted and no more. With `diff`, what is needed of the client's answer is kept as it streams by,
//! and handed to that task at its end.
//!
//! The copy has the head that the first service got, the client's credentials included, with the
//! second service's `Host`. It has no mark: Envoy appends `-shadow` to `Host`, which few servers
//! would find a site for, and there is no field for it that services agree on. Who needs one gives
//! the mirror a service of its own.

mod copy;
#[cfg(test)]
mod tests;

use crate::answer::mirror::Mirror;
use crate::answer::mirror::samples::About;
use crate::answer::mirror::seen::Seen;
use crate::exchange::References;
use crate::telemetry::metrics::{MirrorMetrics, Mirrored};
use crate::upstream::call::Caller;
use bytes::{Bytes, BytesMut};
use copy::Copying;
use http::header::{CONTENT_LENGTH, UPGRADE};
use http::{HeaderValue, Method, Version, request, response};
use pingora::upstreams::peer::HttpPeer;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// How many copies one worker has under way at most. Each holds a request's body and up to two
/// answers, so that the default `max_body` bounds all of them at 12 MiB.
pub const AT_ONCE: usize = 64;

/// What one worker sends copies with, those of all routes.
pub struct Copies {
    caller: Arc<Caller>,
    room: Arc<Semaphore>,
}

/// Where a copy goes.
pub struct Target {
    /// The endpoint.
    pub peer: HttpPeer,
    /// The `Host` that it is asked for; the client's where it is none.
    pub host: Option<HeaderValue>,
}

/// One exchange that is mirrored. Its methods are called as the exchange goes by, and none of them
/// waits or fails.
pub struct Mirroring {
    mirror: Arc<Mirror>,
    metrics: Arc<MirrorMetrics>,
    caller: Arc<Caller>,
    request: Progress,
    /// What is kept of the client's answer, where it is compared.
    answer: Option<Answer>,
}

/// How far the request is.
enum Progress {
    /// It is on its way.
    Coming(Box<Coming>),
    /// It was more than is copied.
    TooLong,
    /// The copy is sent.
    Sent,
}

/// A request that is on its way.
struct Coming {
    head: Option<request::Parts>,
    body: BytesMut,
    target: Target,
    /// Whoever the answers are to, and where the client's comes from.
    compared: Option<(About, oneshot::Receiver<Seen>)>,
    permit: OwnedSemaphorePermit,
}

/// What is kept of the client's answer, and whom it is for.
struct Answer {
    seen: Option<Seen>,
    reader: oneshot::Sender<Seen>,
}

impl Copies {
    /// Sends by `caller`, and no more than so many at once.
    pub fn new(caller: Arc<Caller>, at_once: usize) -> Self {
        Copies { caller, room: Arc::new(Semaphore::new(at_once)) }
    }
}

impl Mirroring {
    /// Begins, if the request is one of those that are copied: call it once for an exchange, with a
    /// number that is random in all of its bits. `target` chooses an endpoint of the mirror's
    /// service, if there is one to choose.
    ///
    /// It is none for a request that is not in the sample; for one that asks for a tunnel or
    /// announces too long a body (`skipped`); where too many copies are under way (`dropped`), so
    /// that a slow mirror costs no more than a bounded memory; and without a target (`failed`).
    pub fn begin(
        mirror: &Arc<Mirror>,
        metrics: &Arc<MirrorMetrics>,
        copies: &Copies,
        request: References<'_>,
        random: u64,
        target: impl FnOnce() -> Option<Target>,
    ) -> Option<Box<Self>> {
        if !mirror.takes(random) {
            return None;
        }
        let refuse = |outcome| {
            metrics.mirrored(outcome);
            None
        };
        if is_tunnel(request.head) || announced(request.head) > mirror.max_body as u64 {
            return refuse(Mirrored::Skipped);
        }
        let Ok(permit) = Arc::clone(&copies.room).try_acquire_owned() else {
            return refuse(Mirrored::Dropped);
        };
        let Some(target) = target() else {
            return refuse(Mirrored::Failed);
        };
        let (answer, compared) = mirror.compare.as_ref().map(|_| compared(request)).unzip();
        let coming = Coming { head: None, body: BytesMut::new(), target, compared, permit };
        // Most requests are not mirrored: an exchange has room for a pointer, and those that are
        // pay for an allocation.
        Some(Box::new(Mirroring {
            mirror: Arc::clone(mirror),
            metrics: Arc::clone(metrics),
            caller: Arc::clone(&copies.caller),
            request: Progress::Coming(Box::new(coming)),
            answer,
        }))
    }

    /// Takes the head that the first service gets, after the policies' edits. Each attempt calls it
    /// anew, and what came of the body before belongs to the attempt before.
    pub fn request_head(&mut self, head: &request::Parts) {
        if let Progress::Coming(coming) = &mut self.request {
            coming.head = Some(head.clone());
            coming.body.clear();
        }
    }

    /// Takes a part of the body that the first service gets. Where it becomes too long, nothing is
    /// copied, and the room is another's.
    pub fn request_part(&mut self, part: &Bytes) {
        if let Progress::Coming(coming) = &mut self.request {
            match coming.body.len() + part.len() <= self.mirror.max_body {
                true => coming.body.extend_from_slice(part),
                false => self.give_up(),
            }
        }
    }

    /// The request is complete: sends the copy, by a task on the runtime that this is called on.
    /// Calls after the first do nothing, as when another attempt repeats the request.
    pub fn request_end(&mut self) {
        match std::mem::replace(&mut self.request, Progress::Sent) {
            Progress::Coming(mut coming) => match coming.head.take() {
                Some(head) => drop(tokio::spawn(self.copy(head, *coming))),
                // No attempt came as far as a head; there may be another.
                None => self.request = Progress::Coming(coming),
            },
            other => self.request = other,
        }
    }

    /// Takes the head of the answer that the client gets, as the first service sent it, before the
    /// policies' edits. One that is put aside for another attempt must not come here, as it may be
    /// handed over at once. Interim ones (RFC 9110 §15.2) do not count.
    pub fn response_head(&mut self, head: &response::Parts) {
        if let (Some(answer), Some(compare)) = (&mut self.answer, &self.mirror.compare)
            && !head.status.is_informational()
        {
            answer.seen = Some(Seen::new(head, compare));
            self.hand_over_settled();
        }
    }

    /// Takes a part of that answer's body, before the policies' edits.
    pub fn response_part(&mut self, part: &Bytes) {
        if let Some(Answer { seen: Some(seen), .. }) = &mut self.answer {
            seen.part(part, self.mirror.max_body);
            self.hand_over_settled();
        }
    }

    /// The exchange is over. The answers are compared if the client's was a service's and
    /// `complete`.
    pub fn end(mut self, complete: bool) {
        if let Some(Answer { seen: Some(seen), reader }) = self.answer.take().filter(|_| complete) {
            // The copy may have failed, and nobody wait for this.
            let _ = reader.send(seen);
        }
    }

    /// Hands over what is kept as soon as nothing that comes would change it: a download or a
    /// stream of events may go on for hours.
    fn hand_over_settled(&mut self) {
        let settled = |answer: &mut Answer| answer.seen.as_ref().is_some_and(Seen::is_settled);
        if let Some(Answer { seen: Some(seen), reader }) = self.answer.take_if(settled) {
            let _ = reader.send(seen);
        }
    }

    fn give_up(&mut self) {
        self.request = Progress::TooLong;
        self.answer = None;
        self.metrics.mirrored(Mirrored::Skipped);
    }

    fn copy(&self, head: request::Parts, coming: Coming) -> impl Future<Output = ()> + use<> {
        let Coming { body, target, compared, permit, .. } = coming;
        let copy = Copying {
            mirror: Arc::clone(&self.mirror),
            metrics: Arc::clone(&self.metrics),
            caller: Arc::clone(&self.caller),
            compared,
        };
        async move {
            copy.send(head, body.freeze(), target).await;
            drop(permit);
        }
    }
}

impl Drop for Mirroring {
    /// Counts a request that never came whole: its client left, or was answered before.
    fn drop(&mut self) {
        if matches!(self.request, Progress::Coming(_)) {
            self.metrics.mirrored(Mirrored::Skipped);
        }
    }
}

/// The two ends of what is kept of a client's answer.
fn compared(request: References<'_>) -> (Answer, (About, oneshot::Receiver<Seen>)) {
    let (reader, answer) = oneshot::channel();
    let about = About {
        time: request.facts.time,
        request_id: request.facts.request_id.clone(),
        method: request.head.method.clone(),
        path: request.head.uri.path().to_owned(),
    };
    (Answer { seen: None, reader }, (about, answer))
}

/// Whether a request asks for more than an answer: what follows has no end that could be waited
/// for.
fn is_tunnel(head: &request::Parts) -> bool {
    head.method == Method::CONNECT
        || head.version == Version::HTTP_11 && head.headers.contains_key(UPGRADE)
}

/// The length of the body that a request announces; 0 where it announces none.
fn announced(head: &request::Parts) -> u64 {
    let length = head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    length.and_then(|length| length.parse().ok()).unwrap_or(0)
}
