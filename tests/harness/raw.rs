//! A bare socket, for requests that no HTTP library would send.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::Server;

pub struct Socket(TcpStream);

impl Socket {
    /// A connection without TLS. Reads give up after `patience`.
    pub fn connect(server: &Server, patience: Duration) -> Self {
        let stream = TcpStream::connect(server.address()).expect("the server accepts connections");
        stream.set_read_timeout(Some(patience)).expect("a timeout can be set");
        stream.set_nodelay(true).expect("the option can be set");
        Self(stream)
    }

    pub fn write(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.0.write_all(bytes.as_ref()).expect("the server reads");
        self
    }

    /// Waits for the `100 Continue` of a request that asked for it: the server has begun with it and waits for its body.
    pub fn wait_to_continue(&mut self) -> &mut Self {
        const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
        let mut answer = [0; CONTINUE.len()];
        self.0.read_exact(&mut answer).expect("the server answers");
        assert_eq!(String::from_utf8_lossy(&answer), String::from_utf8_lossy(CONTINUE));
        self
    }

    /// All that comes until the server closes the connection, or an error text if it does not within the patience.
    pub fn read_to_end(&mut self) -> Result<String, String> {
        let mut bytes = Vec::new();
        match self.0.read_to_end(&mut bytes) {
            Ok(_) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            // The server may close while bytes of ours are under way; what it said before counts.
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(e) => Err(format!("{e}, after: {}", String::from_utf8_lossy(&bytes))),
        }
    }
}

/// The status of an answer as it came off the socket.
#[track_caller]
pub fn status(answer: &str) -> u16 {
    let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok());
    status.unwrap_or_else(|| panic!("not an HTTP answer: {answer:?}"))
}

/// What stands after the headers.
pub fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}
