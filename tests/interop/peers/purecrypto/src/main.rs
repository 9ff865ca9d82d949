//! A DTLS 1.3 server, and devices, with purecrypto: certificates, cookies and CIDs. The lines of ../lines.h and
//! ../device.c. With `cid` devices take CIDs of six octets, else empty ones. Each session of a server has a CID that
//! begins with the server's id. There is no second one: purecrypto draws spare CIDs itself, all of them random.
use std::collections::HashMap;
use std::io::{BufRead, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use purecrypto::ec::BoxedEcdsaPrivateKey;
use purecrypto::rng::{OsRng, RngCore};
use purecrypto::tls::{Config, ConfigBuilder, Connection, ProtocolVersion, SigningKey};
use purecrypto::x509::Certificate;

const CID_OCTETS: usize = 6;
const USAGE: &str = "usage: purecrypto server PORT ID CERTIFICATE KEY | purecrypto device [cid]";

fn say(verb: &str, number: usize, words: impl std::fmt::Display) {
    println!("{verb} {number} {words}");
}

fn random<const N: usize>() -> [u8; N] {
    let mut octets = [0; N];
    OsRng.fill_bytes(&mut octets);
    octets
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn octets(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2)
        .filter_map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).ok())
        .collect()
}

fn dtls13() -> ConfigBuilder {
    Config::builder()
        .rng(Arc::new(OsRng))
        .versions(ProtocolVersion::DTLSv1_3, ProtocolVersion::DTLSv1_3)
}

/// A session of either side.
struct Session {
    number: usize,
    connection: Connection,
    address: SocketAddr,
    open: bool,
}

impl Session {
    fn new(number: usize, connection: Connection, address: SocketAddr) -> Self {
        Session {
            number,
            connection,
            address,
            open: false,
        }
    }

    fn flush(&mut self, socket: &UdpSocket) {
        while let Ok(datagram) = self.connection.pop() {
            if datagram.is_empty() {
                break;
            }
            let _ = socket.send_to(&datagram, self.address);
        }
    }

    /// `from`: None for the timer alone. RFC 9146, section 6.
    fn step(&mut self, socket: &UdpSocket, now: Duration, from: Option<(&[u8], SocketAddr)>) {
        self.connection.set_now(now);
        if let Some((datagram, source)) = from {
            if let Err(error) = self.connection.feed(datagram) {
                say("closed", self.number, format!("{error:?}"));
            }
            if source != self.address && (!self.open || self.connection.datagram_allows_peer_address_update()) {
                self.address = source;
                if self.open {
                    say("moved", self.number, source);
                }
            }
        }
        if self.connection.next_timeout().is_some_and(|at| now >= at) {
            self.connection.on_timeout(now);
        }
        if !self.open && self.connection.is_handshake_complete() {
            self.open = true;
            say("open", self.number, self.address);
        }
        while let Ok(data) = self.connection.recv() {
            if data.is_empty() {
                break;
            }
            say("data", self.number, hex(&data));
        }
        self.flush(socket);
    }

    fn command(&mut self, socket: &UdpSocket, verb: &str, words: &str) {
        if verb == "send"
            && let Err(error) = self.connection.send(&octets(words))
        {
            eprintln!("{verb} {}: {error:?}", self.number);
        }
        self.flush(socket);
    }
}

/// The lines of stdin, with whose end the process ends.
fn commands() -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
        std::process::exit(0);
    });
    receiver
}

fn split(line: &str) -> Option<(&str, usize, &str)> {
    let mut words = line.splitn(3, ' ');
    Some((words.next()?, words.next()?.parse().ok()?, words.next()?))
}

fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
    match socket.recv_from(buffer) {
        Ok(got) => Some(got),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
        Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionRefused) => None,
        Err(error) => panic!("{error}"),
    }
}

fn bind(port: u16, wait: Duration) -> UdpSocket {
    let socket = UdpSocket::bind(("127.0.0.1", port)).expect("a socket");
    socket.set_read_timeout(Some(wait)).expect("a timeout");
    socket
}

fn is_hello(datagram: &[u8]) -> bool {
    datagram.len() > 13 && datagram[0] == 22 && datagram[3..5] == [0, 0] && datagram[13] == 1
}

fn serve(port: u16, id: u8, config: &Config) {
    let (socket, commands, begin) = (bind(port, Duration::from_millis(10)), commands(), Instant::now());
    let mut sessions: HashMap<usize, Session> = HashMap::new();
    let (mut by_cid, mut by_address): (HashMap<Vec<u8>, usize>, HashMap<SocketAddr, usize>) = Default::default();
    let (mut buffer, mut last) = ([0; 65536], 0);
    println!("ready");
    loop {
        if let Some((len, source)) = receive(&socket, &mut buffer) {
            let datagram = &buffer[..len];
            // RFC 9147, section 4: a unified header with a CID.
            let cid = (len > CID_OCTETS && datagram[0] & 0xf0 == 0x30).then(|| &datagram[1..=CID_OCTETS]);
            let known = match cid {
                Some(cid) => by_cid.get(cid),
                None => by_address.get(&source),
            };
            let number = known
                .copied()
                .filter(|number| !(is_hello(datagram) && sessions[number].open));
            let number = number.or_else(|| {
                is_hello(datagram).then(|| {
                    last += 1;
                    let mut cid = random::<CID_OCTETS>();
                    cid[0] = id;
                    let mut own = config.clone();
                    own.connection_id = Some(purecrypto::tls::ConnectionId::Fixed(cid.to_vec()));
                    own.peer_address = source.to_string().into_bytes();
                    let connection = Connection::server(&own).expect("a session");
                    by_cid.insert(cid.to_vec(), last);
                    by_address.insert(source, last);
                    sessions.insert(last, Session::new(last, connection, source));
                    last
                })
            });
            if let Some(session) = number.and_then(|number| sessions.get_mut(&number)) {
                session.step(&socket, begin.elapsed(), Some((datagram, source)));
            }
        }
        for line in commands.try_iter() {
            if let Some((verb, number, words)) = split(&line)
                && let Some(session) = sessions.get_mut(&number)
            {
                session.command(&socket, verb, words);
            }
        }
        for session in sessions.values_mut() {
            session.step(&socket, begin.elapsed(), None);
        }
    }
}

fn devices(takes_cids: bool) {
    let (commands, begin) = (commands(), Instant::now());
    let mut sessions: HashMap<usize, (UdpSocket, Session)> = HashMap::new();
    let mut buffer = [0; 65536];
    println!("ready");
    loop {
        for line in commands.try_iter() {
            match split(&line) {
                Some(("new", number, target)) => {
                    let builder = dtls13().verify_certificates(false).server_name("localhost");
                    let builder = if takes_cids {
                        builder.connection_id_len(CID_OCTETS)
                    } else {
                        builder.connection_id(Vec::new())
                    };
                    let connection = Connection::client(&builder.build()).expect("a session");
                    let session = Session::new(number, connection, target.parse().expect("ADDRESS:PORT"));
                    sessions.insert(number, (bind(0, Duration::from_millis(1)), session));
                }
                Some((verb, number, words)) => {
                    if let Some((socket, session)) = sessions.get_mut(&number) {
                        session.command(socket, verb, words);
                    }
                }
                None => (),
            }
        }
        for (socket, session) in sessions.values_mut() {
            let got = receive(socket, &mut buffer);
            session.step(
                socket,
                begin.elapsed(),
                got.map(|(len, source)| (&buffer[..len], source)),
            );
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn server_config(certificate: &str, key: &str) -> Option<Config> {
    let read = |path| std::fs::read_to_string(path).ok();
    let chain = vec![Certificate::from_pem(&read(certificate)?).ok()?.to_der().to_vec()];
    let key = BoxedEcdsaPrivateKey::from_pkcs8_pem(&read(key)?).ok()?;
    Some(
        dtls13()
            .try_identity(chain, SigningKey::Ecdsa(key))
            .ok()?
            .cookie_secret(random::<32>())
            .build(),
    )
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["server", port, id, certificate, key] => {
            let config = server_config(certificate, key).expect("a certificate and its key");
            serve(port.parse().expect("a port"), id.parse().expect("an id"), &config)
        }
        ["device"] => devices(false),
        ["device", "cid"] => devices(true),
        _ => {
            eprintln!("{USAGE}");
            std::process::exit(2);
        }
    }
}
