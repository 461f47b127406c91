//! As much of an HTTP client as proves that a contender answers.

use super::Failure;
use crate::process::Process;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection that is kept.
pub struct Client {
    stream: BufReader<TcpStream>,
    port: u16,
}

/// An answer.
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its fields; names in lower case.
    pub fields: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
}

impl Client {
    /// Connects to a port of this machine.
    pub fn connect(port: u16) -> std::io::Result<Client> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Client { stream: BufReader::new(stream), port })
    }

    /// Asks for a path with some fields, and does not wait.
    pub fn ask(&mut self, path: &str, fields: &[(&str, String)]) -> std::io::Result<()> {
        let port = self.port;
        let mut head = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n");
        for (name, value) in fields {
            head.extend([name, ": ", value, "\r\n"]);
        }
        head.push_str("\r\n");
        self.stream.get_mut().write_all(head.as_bytes())
    }

    /// Reads an answer.
    pub fn answer(&mut self) -> Result<Answer, Failure> {
        let start = self.line()?;
        let status = start.split(' ').nth(1).ok_or("an answer without a status")?.parse()?;
        let mut answer = Answer { status, fields: Vec::new(), body: Vec::new() };
        while let Some((name, value)) = self.line()?.split_once(':') {
            answer.fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let length = answer.field("content-length").ok_or("an answer without a length")?.parse()?;
        answer.body.resize(length, 0);
        self.stream.read_exact(&mut answer.body)?;
        Ok(answer)
    }

    /// Asks for a path with some fields and reads the answer.
    pub fn get(&mut self, path: &str, fields: &[(&str, String)]) -> Result<Answer, Failure> {
        self.ask(path, fields)?;
        self.answer()
    }

    fn line(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err("the connection was closed".into());
        }
        Ok(line.trim_end().to_owned())
    }
}

impl Answer {
    /// The value of a field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| &**value)
    }
}

/// Waits until a process that was just started answers a request with some fields; how often it was asked in vain does not
/// matter, how often it answered is once.
pub fn wait_for(
    port: u16,
    fields: &[(&str, String)],
    process: &mut Process,
    patience: Duration,
) -> Result<(), Failure> {
    let deadline = Instant::now() + patience;
    loop {
        process.must_run()?;
        let answer =
            Client::connect(port).map_err(Failure::from).and_then(|mut c| c.get("/", fields));
        match answer {
            Ok(answer) if answer.status == 200 => return Ok(()),
            Ok(answer) => return Err(format!("it answers {}", answer.status).into()),
            Err(error) if Instant::now() > deadline => {
                return Err(format!("it does not answer: {error}").into());
            }
            Err(_) => thread::sleep(Duration::from_millis(10)),
        }
    }
}
