//! A small real name server, by UDP and TCP, which answers as a test says.

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{CNAME, SOA, SRV};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::{JoinHandle, JoinSet};

/// A name server at an address of its own; it ends with the value.
pub struct NameServer {
    address: SocketAddr,
    zone: Arc<Mutex<Zone>>,
    serving: [JoinHandle<()>; 2],
}

/// What it answers, and what it was asked.
#[derive(Default)]
struct Zone {
    records: HashMap<Name, Vec<Record>>,
    codes: HashMap<(Name, RecordType), ResponseCode>,
    silent: bool,
    truncating: bool,
    /// Whether the target of a CNAME is left for the asker to follow.
    lazy: bool,
    asked: Vec<(Name, RecordType)>,
    by_tcp: usize,
}

impl NameServer {
    /// Starts a server that knows no name, on a free port of 127.0.0.1.
    pub async fn start() -> NameServer {
        let (udp, tcp) = loop {
            let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
            // Its number may be taken for UDP; then another is tried.
            if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()).await {
                break (udp, tcp);
            }
        };
        let address = udp.local_addr().unwrap();
        let zone = Arc::new(Mutex::new(Zone::default()));
        let serving = [
            tokio::spawn(serve_udp(udp, Arc::clone(&zone))),
            tokio::spawn(serve_tcp(tcp, Arc::clone(&zone))),
        ];
        NameServer { address, zone, serving }
    }

    /// Where it is asked.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn zone(&self) -> MutexGuard<'_, Zone> {
        self.zone.lock().unwrap()
    }

    /// Gives a name these addresses of either family, instead of all that it had.
    pub fn addresses(&self, name: &str, ttl: u32, addresses: &[&str]) {
        let address = |text: &&str| RData::from(text.parse::<IpAddr>().unwrap());
        self.put(name, ttl, addresses.iter().map(address).collect());
    }

    /// Gives a name these SRV records, each with its priority, weight, port and target.
    pub fn srv(&self, name: &str, ttl: u32, records: &[(u16, u16, u16, &str)]) {
        let record = |&(priority, weight, port, target): &(u16, u16, u16, &str)| {
            RData::SRV(SRV::new(priority, weight, port, absolute(target)))
        };
        self.put(name, ttl, records.iter().map(record).collect());
    }

    /// Makes a name another one's alias.
    pub fn alias(&self, name: &str, ttl: u32, of: &str) {
        self.put(name, ttl, vec![RData::CNAME(CNAME(absolute(of)))]);
    }

    /// Forgets a name: it does not exist.
    pub fn forget(&self, name: &str) {
        self.zone().records.remove(&absolute(name));
    }

    /// Answers a question with this code until it is said otherwise: `None` answers again.
    pub fn fail(&self, name: &str, kind: RecordType, code: Option<ResponseCode>) {
        let key = (absolute(name), kind);
        match code {
            Some(code) => drop(self.zone().codes.insert(key, code)),
            None => drop(self.zone().codes.remove(&key)),
        }
    }

    /// Answers nothing at all, or answers again.
    pub fn silent(&self, silent: bool) {
        self.zone().silent = silent;
    }

    /// Cuts each answer by UDP short.
    pub fn truncate(&self) {
        self.zone().truncating = true;
    }

    /// Answers with a CNAME alone, so that its target has to be asked for.
    pub fn leave_aliases(&self) {
        self.zone().lazy = true;
    }

    /// How often a name was asked for, with this type of record.
    pub fn asked(&self, name: &str, kind: RecordType) -> usize {
        let wanted = (absolute(name), kind);
        self.zone().asked.iter().filter(|asked| **asked == wanted).count()
    }

    /// How many questions came by TCP.
    pub fn by_tcp(&self) -> usize {
        self.zone().by_tcp
    }

    fn put(&self, name: &str, ttl: u32, data: Vec<RData>) {
        let name = absolute(name);
        let record = |data| Record::from_rdata(name.clone(), ttl, data);
        let records = data.into_iter().map(record).collect();
        self.zone().records.insert(name.clone(), records);
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.serving.iter().for_each(JoinHandle::abort);
    }
}

fn absolute(name: &str) -> Name {
    let mut name = Name::from_ascii(name).unwrap();
    name.set_fqdn(true);
    name
}

async fn serve_udp(socket: UdpSocket, zone: Arc<Mutex<Zone>>) {
    let mut buffer = [0; 4096];
    while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
        let answer = zone.lock().unwrap().answer(&buffer[..length], false);
        if let Some(answer) = answer {
            let _ = socket.send_to(&answer, from).await;
        }
    }
}

async fn serve_tcp(listener: TcpListener, zone: Arc<Mutex<Zone>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve_connection(stream, Arc::clone(&zone)));
    }
}

/// Answers questions on a connection, each behind its length (RFC 1035 §4.2.2).
async fn serve_connection(mut stream: TcpStream, zone: Arc<Mutex<Zone>>) {
    while let Ok(length) = stream.read_u16().await {
        let mut question = vec![0; length.into()];
        if stream.read_exact(&mut question).await.is_err() {
            return;
        }
        let answer = zone.lock().unwrap().answer(&question, true);
        let Some(answer) = answer else { continue };
        let mut framed = u16::try_from(answer.len()).unwrap().to_be_bytes().to_vec();
        framed.extend_from_slice(&answer);
        if stream.write_all(&framed).await.is_err() {
            return;
        }
    }
}

impl Zone {
    fn answer(&mut self, question: &[u8], by_tcp: bool) -> Option<Vec<u8>> {
        let question = Message::from_vec(question).ok()?;
        let query = question.queries.first()?.clone();
        let key = (query.name().to_lowercase(), query.query_type());
        self.asked.push(key.clone());
        self.by_tcp += usize::from(by_tcp);
        if self.silent {
            return None;
        }
        let mut answer = Message::new(question.metadata.id, MessageType::Response, OpCode::Query);
        answer.metadata.recursion_desired = question.metadata.recursion_desired;
        answer.metadata.recursion_available = true;
        answer.add_query(query.clone());
        if self.truncating && !by_tcp {
            answer.metadata.truncation = true;
        } else if let Some(code) = self.codes.get(&key) {
            answer.metadata.response_code = *code;
        } else {
            self.records(&query, &mut answer);
        }
        answer.to_vec().ok()
    }

    /// The records of a name and, behind its aliases, of others (RFC 1034 §4.3.2).
    fn records(&self, query: &Query, answer: &mut Message) {
        let mut name = query.name().to_lowercase();
        for _ in 0..8 {
            let Some(records) = self.records.get(&name) else {
                answer.metadata.response_code = ResponseCode::NXDomain;
                break;
            };
            let wanted = |record: &&Record| record.record_type() == query.query_type();
            answer.add_answers(records.iter().filter(wanted).cloned());
            let alias = records.iter().find_map(|record| match &record.data {
                RData::CNAME(CNAME(target)) => Some((record.clone(), target.to_lowercase())),
                _ => None,
            });
            let Some((record, target)) = alias else { break };
            answer.add_answer(record);
            if self.lazy {
                return;
            }
            name = target;
        }
        if answer.answers.is_empty() {
            // The time to live of "no" is the zone's (RFC 2308 §3).
            let soa = SOA::new(absolute("ns.test"), absolute("admin.test"), 1, 1, 1, 1, 1);
            answer.add_authority(Record::from_rdata(Name::root(), 1, RData::SOA(soa)));
        }
    }
}
