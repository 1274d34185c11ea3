//! The types of settings: how each is parsed from text and written to a file.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::{fmt, fs, io};

use broker_identity::TokenDigest;

use crate::access::{HostName, Origin};
use crate::address::{Net, ProxyProtocol};
use crate::logging::{LogFilter, LogFormat};

/// The values that a setting may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowed {
    /// A whole number within these bounds, both included.
    Number(u64, u64),
    /// The same in bytes: `64KiB`, `8MiB` and `1GiB` are understood too.
    Bytes(u64, u64),
    /// Every value of the type.
    Any,
}

/// A type that a setting can have.
pub(super) trait Value: Sized {
    /// Whether the flag may be given without a value (`--pin`), which means `true`.
    const SWITCH: bool = false;
    /// Whether the flag may be repeated, and the value is a list separated by commas.
    const LIST: bool = false;

    /// Whether a text that is no value of it may be a secret, which no message may repeat.
    const SECRET: bool = false;

    /// Parses a value; `None` if the text is not one or is out of bounds.
    fn parse(text: &str, allowed: Allowed) -> Option<Self>;

    /// What would be valid, for the error message.
    fn expected(allowed: Allowed) -> String;

    /// What exactly is wrong with this text, if that is easily overlooked.
    fn hint(_text: &str) -> Option<String> {
        None
    }

    /// The value in TOML.
    fn toml(&self) -> String;
}

fn parse_number(text: &str, allowed: Allowed) -> Option<u64> {
    let (min, max, suffixes) = match allowed {
        Allowed::Number(min, max) => (min, max, false),
        Allowed::Bytes(min, max) => (min, max, true),
        Allowed::Any => (0, u64::MAX, false),
    };
    let (digits, shift) = [("KiB", 10), ("MiB", 20), ("GiB", 30)]
        .into_iter()
        .find_map(|(suffix, shift)| text.strip_suffix(suffix).filter(|_| suffixes).map(|rest| (rest.trim_end(), shift)))
        .unwrap_or((text, 0));
    // `parse` alone would accept a leading plus.
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = digits.parse::<u64>().ok()?.checked_mul(1 << shift)?;
    (min..=max).contains(&number).then_some(number)
}

fn expected_number(allowed: Allowed) -> String {
    match allowed {
        Allowed::Number(min, max) => format!("a whole number from {min} to {max}"),
        Allowed::Bytes(min, max) => {
            format!("a number of bytes from {min} to {max} (64KiB, 8MiB and 1GiB are understood)")
        }
        Allowed::Any => "a whole number".into(),
    }
}

macro_rules! numbers {
    ($($type:ty),+) => {$(
        impl Value for $type {
            fn parse(text: &str, allowed: Allowed) -> Option<Self> {
                parse_number(text, allowed)?.try_into().ok()
            }

            fn expected(allowed: Allowed) -> String {
                expected_number(allowed)
            }

            fn toml(&self) -> String {
                self.to_string()
            }
        }
    )+};
}

numbers!(u32, u64, usize);

impl Value for bool {
    const SWITCH: bool = true;

    fn parse(text: &str, _: Allowed) -> Option<Self> {
        text.parse().ok()
    }

    fn expected(_: Allowed) -> String {
        "true or false".into()
    }

    fn toml(&self) -> String {
        self.to_string()
    }
}

impl Value for SocketAddr {
    fn parse(text: &str, _: Allowed) -> Option<Self> {
        // This is the one name that means the same everywhere. For others the operator has to give the address.
        let port = text.strip_prefix("localhost:").and_then(|port| port.parse().ok());
        port.map(|port| (Ipv4Addr::LOCALHOST, port).into()).or_else(|| text.parse().ok())
    }

    fn expected(_: Allowed) -> String {
        "an IP address or localhost, and a port, as in 127.0.0.1:9000 or [::1]:9000".into()
    }

    fn toml(&self) -> String {
        format!("\"{self}\"")
    }
}

impl Value for LogFormat {
    fn parse(text: &str, _: Allowed) -> Option<Self> {
        match text {
            "text" => Some(LogFormat::Text),
            "json" => Some(LogFormat::Json),
            _ => None,
        }
    }

    fn expected(_: Allowed) -> String {
        "text or json".into()
    }

    fn toml(&self) -> String {
        match self {
            LogFormat::Text => "\"text\"".into(),
            LogFormat::Json => "\"json\"".into(),
        }
    }
}

impl Value for LogFilter {
    fn parse(text: &str, _: Allowed) -> Option<Self> {
        LogFilter::parse(text)
    }

    fn expected(_: Allowed) -> String {
        "off, error, warn, info, debug or trace, alone or with parts like broker=debug,hyper=warn".into()
    }

    fn toml(&self) -> String {
        toml::Value::String(self.as_str().to_owned()).to_string()
    }
}

/// The parts of a list, separated by commas. Empty parts are skipped.
pub(super) fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

pub(super) fn list<T: fmt::Display>(items: &[T]) -> String {
    toml::Value::Array(items.iter().map(|item| toml::Value::String(item.to_string())).collect()).to_string()
}

impl Value for Vec<Origin> {
    const LIST: bool = true;

    fn parse(text: &str, _: Allowed) -> Option<Self> {
        parts(text).map(Origin::parse).collect()
    }

    fn expected(_: Allowed) -> String {
        "origins as a browser sends them, as in https://desk.example.com or http://localhost:5173".into()
    }

    fn hint(text: &str) -> Option<String> {
        let wrong = parts(text).find(|part| Origin::parse(part).is_none())?;
        let (scheme, rest) = wrong.split_once("://")?;
        let (host, path) = rest.split_once('/')?;
        let what = if path.is_empty() { "the trailing slash".to_owned() } else { format!("the path /{path}") };
        Some(format!("{what} is not part of an origin: write {scheme}://{host}"))
    }

    fn toml(&self) -> String {
        list(self)
    }
}

impl Value for Vec<HostName> {
    const LIST: bool = true;

    fn parse(text: &str, _: Allowed) -> Option<Self> {
        parts(text).map(HostName::parse).collect()
    }

    fn expected(_: Allowed) -> String {
        "host names without a port, as in feed.example.com".into()
    }

    fn toml(&self) -> String {
        list(self)
    }
}

impl Value for Vec<Net> {
    const LIST: bool = true;

    fn parse(text: &str, _: Allowed) -> Option<Self> {
        parts(text).map(Net::parse).collect()
    }

    fn expected(_: Allowed) -> String {
        "IP addresses or blocks of them, as in 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32".into()
    }

    fn toml(&self) -> String {
        list(self)
    }
}

impl Value for ProxyProtocol {
    fn parse(text: &str, _: Allowed) -> Option<Self> {
        match text {
            "off" => Some(ProxyProtocol::Off),
            "required" => Some(ProxyProtocol::Required),
            _ => None,
        }
    }

    fn expected(_: Allowed) -> String {
        "off or required".into()
    }

    fn hint(text: &str) -> Option<String> {
        let optional = ["on", "optional", "auto", "true"].contains(&text);
        optional.then(|| "it cannot be optional, because every client could then send a header of its own".into())
    }

    fn toml(&self) -> String {
        match self {
            ProxyProtocol::Off => "\"off\"".into(),
            ProxyProtocol::Required => "\"required\"".into(),
        }
    }
}
impl Value for Option<TokenDigest> {
    const SECRET: bool = true;

    fn parse(text: &str, _: Allowed) -> Option<Self> {
        if text.is_empty() { Some(None) } else { TokenDigest::parse(text).map(Some) }
    }

    fn expected(_: Allowed) -> String {
        "the SHA-256 of a token in 64 hexadecimal digits, as `printf %s TOKEN | sha256sum` prints it".into()
    }

    fn toml(&self) -> String {
        format!("\"{}\"", self.map(|digest| digest.to_hex()).unwrap_or_default())
    }
}

/// Where the audit log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditLog {
    /// Nowhere.
    Off,
    /// To standard output.
    Output,
    /// To the end of this file.
    File(PathBuf),
}

impl AuditLog {
    /// Opens it. Only the broker's own user may read a file that is new.
    ///
    /// # Errors
    /// The file cannot be opened for appending.
    pub(crate) fn open(&self) -> io::Result<Option<Box<dyn io::Write + Send>>> {
        match self {
            AuditLog::Off => Ok(None),
            AuditLog::Output => Ok(Some(Box::new(io::stdout()))),
            AuditLog::File(path) => {
                let file = fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
                Ok(Some(Box::new(file)))
            }
        }
    }
}

impl Value for AuditLog {
    fn parse(text: &str, _: Allowed) -> Option<Self> {
        Some(match text {
            "" => AuditLog::Off,
            "-" => AuditLog::Output,
            path => AuditLog::File(path.into()),
        })
    }

    fn expected(_: Allowed) -> String {
        "the path of a file, or - for standard output".into()
    }

    fn toml(&self) -> String {
        let text = match self {
            AuditLog::Off => String::new(),
            AuditLog::Output => "-".into(),
            AuditLog::File(path) => path.to_string_lossy().into_owned(),
        };
        toml::Value::String(text).to_string()
    }
}
