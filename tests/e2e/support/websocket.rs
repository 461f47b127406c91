//! WebSockets: an origin that echoes, and a client.

use super::client::Client;
use super::origin::Origin;
use super::wait::within;
use super::wire::Stream;
use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::Role;

/// An origin that echoes each message, and closes when it is asked to.
pub struct WebSocketOrigin;

impl WebSocketOrigin {
    /// Starts it on a free port of 127.0.0.1.
    #[expect(clippy::result_large_err, reason = "the callback's type is the library's")]
    pub async fn start() -> Origin {
        Origin::connections(|stream, _| async move {
            let agree = |_: &Request, mut response: Response| {
                response.headers_mut().insert("x-agreed", "yes".parse().unwrap());
                Ok(response)
            };
            let Ok(mut socket) = tokio_tungstenite::accept_hdr_async(stream, agree).await else {
                return;
            };
            while let Some(Ok(message)) = socket.next().await {
                if message.is_close() || socket.send(message).await.is_err() {
                    break;
                }
            }
            // Sends the close frame that answers the client's.
            let _ = socket.flush().await;
        })
        .await
    }
}

/// Opens a WebSocket over a connection to the gateway.
pub async fn open_websocket(mut client: Client, target: &str) -> WebSocketStream<Box<dyn Stream>> {
    let request = format!(
        "GET {target} HTTP/1.1\r\nHost: gateway.test\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    client.send(request).await;
    let response = client.head().await;
    assert_eq!(response.status, 101);
    // The answer to this key, from RFC 6455 §1.3.
    assert_eq!(response.get("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert!(response.head.lists("connection", "upgrade"));
    assert_eq!(response.get("x-agreed"), Some("yes"));
    let stream = client.into_inner();
    within("the WebSocket", WebSocketStream::from_raw_socket(stream, Role::Client, None)).await
}
