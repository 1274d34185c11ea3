//! Without the feature `tls`: every attempt to use it is an error.

use tokio::net::TcpStream;

use super::wire::TlsStream;
use crate::tls::Tls;

#[derive(Debug, Default)]
pub(crate) struct Connector {}

impl Connector {
    pub(super) async fn connect(&self, _: TcpStream, _: &str, _: &Tls) -> Result<Box<TlsStream>, String> {
        Err("this program was built without TLS (the feature `tls` of broker-client)".to_owned())
    }
}
