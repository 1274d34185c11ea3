//! A set of keys as a JSON document (RFC 7517). It is mostly the issuer's, so a key in it that we cannot use is left out.

use serde_json::value::RawValue;

use super::{KEYS_BYTES_MAX, KEYS_MAX, Key};
use crate::base64url::decode;
use crate::members::{Members, read as read_value};

/// Reads the keys of a document, and why others were left out.
pub(super) fn read(document: &[u8]) -> Result<(Vec<Key>, Vec<String>), String> {
    if document.len() > KEYS_BYTES_MAX {
        return Err(format!("it has {} bytes, at most {KEYS_BYTES_MAX} are read", document.len()));
    }
    let text = std::str::from_utf8(document).map_err(|_| "it is not UTF-8")?;
    let members = Members::parse(text).ok_or("it is not a JSON object in which each name occurs once")?;
    let entries: Vec<&RawValue> = members.get("keys").and_then(read_value).ok_or("it has no list named \"keys\"")?;
    if entries.len() > KEYS_MAX {
        return Err(format!("it has {} keys, at most {KEYS_MAX} are read", entries.len()));
    }
    let (mut keys, mut ignored) = (Vec::new(), Vec::new());
    for (number, entry) in entries.into_iter().enumerate() {
        match key(entry.get()) {
            Ok(key) => keys.push(key),
            Err(error) => ignored.push(format!("key {}: {error}", number + 1)),
        }
    }
    Ok((keys, ignored))
}

fn key(text: &str) -> Result<Key, String> {
    let members = Members::parse(text).ok_or("it is not an object in which each name occurs once")?;
    let string = |name: &str| -> Result<Option<String>, String> {
        let member = members.get(name);
        member.map(|text| read_value(text).ok_or_else(|| format!("its {name} is not a string"))).transpose()
    };
    let bytes = |name: &str| -> Result<Vec<u8>, String> {
        string(name)?.as_deref().and_then(decode).ok_or_else(|| format!("its {name} is missing or not base64url"))
    };
    if string("use")?.is_some_and(|purpose| purpose != "sig") {
        return Err("its use is not \"sig\"".to_owned());
    }
    let operations: Option<Vec<String>> = members.get("key_ops").and_then(read_value);
    if members.get("key_ops").is_some() && !operations.is_some_and(|all| all.iter().any(|one| one == "verify")) {
        return Err("its key_ops lack \"verify\"".to_owned());
    }
    let (kind, curve) = (string("kty")?, string("crv")?);
    let key = match (kind.as_deref(), curve.as_deref()) {
        (Some("EC"), Some("P-256")) => Key::from_point(&bytes("x")?, &bytes("y")?),
        (Some("OKP"), Some("Ed25519")) => Key::from_ed25519(&bytes("x")?),
        (Some("RSA"), None) => Key::from_rsa(&bytes("n")?, &bytes("e")?),
        // A secret in a document of public keys: whoever reads the document could make tokens.
        (Some("oct"), _) => Err("it is a secret (oct)".to_owned()),
        _ => Err("its kty and crv are neither EC with P-256 nor OKP with Ed25519 nor RSA".to_owned()),
    }?;
    if string("alg")?.is_some_and(|name| name != key.algorithm().as_str()) {
        return Err(format!("its alg is not {}, which its type verifies", key.algorithm().as_str()));
    }
    Ok(key.named(string("kid")?))
}
