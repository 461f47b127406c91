//! One copy: it is sent, its answer is read, and compared with the client's.

use super::Target;
use crate::answer::mirror::Mirror;
use crate::answer::mirror::diff::compare;
use crate::answer::mirror::samples::{About, Sample};
use crate::answer::mirror::seen::Seen;
use crate::proxy::head::as_http1;
use crate::telemetry::metrics::{Compared, MirrorMetrics, Mirrored};
use crate::upstream::call::{CallError, Caller};
use bytes::Bytes;
use http::header::{CONNECTION, EXPECT, HOST, UPGRADE};
use http::{HeaderName, request};
use pingora::http::RequestHeader;
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

/// What frames nothing and yet belongs to one connection (RFC 9110 §7.6.1); HTTP/2 refuses it.
const OF_THE_CONNECTION: [HeaderName; 4] = [
    CONNECTION,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// What is left of a mirrored exchange while its copy is under way.
pub(super) struct Copying {
    pub mirror: Arc<Mirror>,
    pub metrics: Arc<MirrorMetrics>,
    pub caller: Arc<Caller>,
    /// Whoever the answers are to, and where the client's comes from, where they are compared.
    pub compared: Option<(About, oneshot::Receiver<Seen>)>,
}

impl Copying {
    /// Sends a request, and counts what comes of it.
    pub async fn send(self, head: request::Parts, body: Bytes, target: Target) {
        let seen = match self.ask(head, body, &target).await {
            Ok(seen) => {
                self.metrics.mirrored(Mirrored::Answered);
                seen
            }
            Err(error) => {
                self.metrics.mirrored(Mirrored::Failed);
                let service = &**self.mirror.backend.service.name();
                tracing::debug!(service, %error, "a mirrored request was not answered");
                return;
            }
        };
        if let Some((seen, (about, client))) = seen.zip(self.compared) {
            compare_with(seen, client, about, self.mirror, self.metrics).await;
        }
    }

    /// Makes the call, and keeps of its answer what is compared, if anything is. A body that is too
    /// long is not read to its end, as nobody wants it.
    async fn ask(
        &self,
        head: request::Parts,
        body: Bytes,
        target: &Target,
    ) -> Result<Option<Seen>, CallError> {
        let deadline = Instant::now() + self.mirror.timeout;
        let head = fit(head, target);
        let mut answer = self.caller.open(&target.peer, head, body, Some(deadline)).await?;
        let mut seen = self.mirror.compare.as_ref().map(|rules| Seen::new(answer.head(), rules));
        let mut length = 0;
        while let Some(part) = answer.next_part().await? {
            length += part.len();
            if let Some(seen) = &mut seen {
                seen.part(&part, self.mirror.max_body);
            }
            if length > self.mirror.max_body {
                return Ok(seen);
            }
        }
        answer.finish().await?;
        Ok(seen)
    }
}

/// Makes the head that the first service got fit for the second.
fn fit(mut head: request::Parts, target: &Target) -> RequestHeader {
    as_http1(&mut head);
    OF_THE_CONNECTION.iter().for_each(|name| drop(head.headers.remove(name)));
    // The body is there already.
    head.headers.remove(EXPECT);
    if let Some(host) = &target.host {
        head.headers.insert(HOST, host.clone());
    }
    RequestHeader::from(head)
}

/// Compares with the client's answer, which is waited for as long again as a copy may take.
async fn compare_with(
    mirrored: Seen,
    client: oneshot::Receiver<Seen>,
    about: About,
    mirror: Arc<Mirror>,
    metrics: Arc<MirrorMetrics>,
) {
    let client = match timeout(mirror.timeout, client).await {
        Ok(Ok(client)) => client,
        // The client got no whole answer of a service, so that there is nothing to compare with.
        Ok(Err(_)) => return,
        Err(_) => return metrics.compared(Compared::Skipped),
    };
    // Two long bodies would hold up all exchanges of this thread for milliseconds; of two threads
    // the system lets both go on.
    let compared = tokio::task::spawn_blocking(move || {
        let rules = mirror.compare.as_ref().expect("answers are kept where they are compared");
        let found = compare(rules, &client, &mirrored);
        match (found.is_same(), found.body_skipped) {
            (true, false) => Compared::Same,
            (true, true) => Compared::Skipped,
            (false, _) => {
                mirror.samples.add(Sample::new(&about, found));
                Compared::Different
            }
        }
    });
    // It fails where the process ends.
    if let Ok(result) = compared.await {
        metrics.compared(result);
    }
}
