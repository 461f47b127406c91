//! HTTP/1.1 as it stands on the wire, for the client's end and for the origin's.
//!
//! It is written here rather than taken from a library so that tests can say and see exact bytes:
//! the case and order of fields, the chunks of a body, and what no library would send.

use bytes::{Buf, Bytes, BytesMut};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Any connection.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection that is read by messages.
pub struct Wire {
    io: Box<dyn Stream>,
    unread: BytesMut,
}

/// The head of a request or a response.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    /// The request line or status line.
    pub start: String,
    /// The fields, in order, as they were written.
    pub fields: Vec<(String, String)>,
}

impl Head {
    /// All values of a field, whatever the case of its name.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let named = self.fields.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// The one value of a field; fails the test when there are several.
    pub fn get(&self, name: &str) -> Option<&str> {
        match self.all(name)[..] {
            [] => None,
            [value] => Some(value),
            ref several => panic!("{name} has several values: {several:?}"),
        }
    }

    /// Whether a list field has this element.
    pub fn lists(&self, name: &str, element: &str) -> bool {
        let elements = self.all(name).into_iter().flat_map(|value| value.split(','));
        elements.map(str::trim).any(|one| one.eq_ignore_ascii_case(element))
    }

    /// How the body of this message ends. `bodiless` says that it is an answer without one.
    pub fn framing(&self, is_request: bool, bodiless: bool) -> Framing {
        if bodiless {
            Framing::Length(0)
        } else if self.lists("transfer-encoding", "chunked") {
            Framing::Chunked(Chunk::Next)
        } else if let Some(length) = self.get("content-length") {
            Framing::Length(length.parse().expect("a content-length is a number"))
        } else if is_request {
            Framing::Length(0)
        } else {
            Framing::UntilClose
        }
    }
}

/// How a body ends, and how much of it is still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// After so many bytes.
    Length(usize),
    /// After the last chunk.
    Chunked(Chunk),
    /// With the connection.
    UntilClose,
}

/// Where in a chunked body the reader stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chunk {
    /// Before a chunk's size.
    Next,
    /// So many bytes before the end of a chunk.
    Inside(usize),
}

impl Wire {
    /// Reads messages from, and writes bytes to, a connection.
    pub fn new(io: Box<dyn Stream>) -> Wire {
        Wire { io, unread: BytesMut::new() }
    }

    /// Writes exactly these bytes.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.io.write_all(bytes).await?;
        self.io.flush().await
    }

    /// Reads a head; `None` where the connection ends before it begins.
    pub async fn head(&mut self) -> io::Result<Option<Head>> {
        loop {
            let end = self.unread.windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(end) = end {
                let text = self.unread.split_to(end + 4);
                return Ok(Some(parse(&String::from_utf8_lossy(&text[..end]))));
            }
            if !self.fill().await? {
                return match self.unread.is_empty() {
                    true => Ok(None),
                    false => Err(io::ErrorKind::UnexpectedEof.into()),
                };
            }
        }
    }

    /// Reads the next part of a body, as soon as there is any; `None` at its end.
    pub async fn part(&mut self, framing: &mut Framing) -> io::Result<Option<Bytes>> {
        match framing {
            Framing::Length(0) => Ok(None),
            Framing::Length(left) => {
                let part = self.up_to(*left).await?;
                *left -= part.len();
                Ok(Some(part))
            }
            Framing::UntilClose => match self.unread.is_empty() && !self.fill().await? {
                true => Ok(None),
                false => Ok(Some(self.unread.split().freeze())),
            },
            Framing::Chunked(chunk) => {
                if *chunk == Chunk::Next {
                    let line = self.line().await?;
                    let size = line.split(';').next().unwrap_or_default().trim();
                    let size = usize::from_str_radix(size, 16)
                        .map_err(|_| io::Error::other(format!("`{line}` is no size of a chunk")))?;
                    if size == 0 {
                        while !self.line().await?.is_empty() {}
                        *framing = Framing::Length(0);
                        return Ok(None);
                    }
                    *chunk = Chunk::Inside(size);
                }
                let Chunk::Inside(left) = *chunk else { unreachable!("a chunk was begun above") };
                let part = self.up_to(left).await?;
                *chunk = match left - part.len() {
                    0 => {
                        self.line().await?;
                        Chunk::Next
                    }
                    left => Chunk::Inside(left),
                };
                Ok(Some(part))
            }
        }
    }

    /// Reads what is left of a body.
    pub async fn rest(&mut self, framing: &mut Framing) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        while let Some(part) = self.part(framing).await? {
            body.extend_from_slice(&part);
        }
        Ok(body)
    }

    /// Gives the connection back, if nothing that was read of it is left over.
    pub fn into_inner(self) -> Box<dyn Stream> {
        assert!(self.unread.is_empty(), "bytes were read beyond the last message");
        self.io
    }

    async fn up_to(&mut self, most: usize) -> io::Result<Bytes> {
        if self.unread.is_empty() && !self.fill().await? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(self.unread.split_to(most.min(self.unread.len())).freeze())
    }

    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.unread.windows(2).position(|two| two == b"\r\n") {
                let line = self.unread.split_to(end);
                self.unread.advance(2);
                return Ok(String::from_utf8_lossy(&line).into_owned());
            }
            if !self.fill().await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    async fn fill(&mut self) -> io::Result<bool> {
        self.unread.reserve(64 * 1024);
        Ok(self.io.read_buf(&mut self.unread).await? > 0)
    }
}

fn parse(text: &str) -> Head {
    let mut lines = text.split("\r\n");
    let start = lines.next().unwrap_or_default().to_owned();
    let fields = lines.map(|line| {
        let (name, value) = line.split_once(':').expect("a field has a colon");
        (name.to_owned(), value.trim_matches([' ', '\t']).to_owned())
    });
    Head { start, fields: fields.collect() }
}
