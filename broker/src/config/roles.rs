//! `[[roles]]` and `[[tokens]]`: what clients may do, and tokens that are known by their digests.

use broker_identity::{Line, Quotas, Role, StaticToken, TokenDigest};

use super::problem::Problem;
use super::raw::Raw;
use super::settings::Config;
use super::show::put;
use super::table::{self, Reader};
use super::value::Allowed;

const COUNT: Allowed = Allowed::Number(0, 16_000_000);
const RATE: Allowed = Allowed::Number(0, 1_000_000_000);
const BYTE_RATE: Allowed = Allowed::Bytes(0, 1 << 40);
/// A day, as for other intervals.
const INTERVAL_MS: Allowed = Allowed::Number(0, 86_400_000);

/// Reads the roles, in the file's order. Returns `None` if one was wrong.
pub(super) fn read_roles(raw: &Raw, problems: &mut Vec<Problem>) -> Option<Vec<Role>> {
    table::read("roles", &raw.roles, problems, role)
}

/// Reads the tokens, in the file's order. Returns `None` if one was wrong.
pub(super) fn read_tokens(raw: &Raw, problems: &mut Vec<Problem>) -> Option<Vec<StaticToken>> {
    table::read("tokens", &raw.tokens, problems, token)
}

fn role(reader: &mut Reader<'_>) -> Option<Role> {
    // Names that one would expect here, and what to write instead.
    let elsewhere = [
        ("connections_per_user_max", "nothing: in a role it is called connections_max"),
        ("connections_per_address_max", "nothing: it is about addresses, which have no role"),
        ("connects_per_address_per_s", "nothing: it is about addresses, which have no role"),
    ];
    for (key, expected) in elsewhere {
        if reader.has(key) {
            reader.bad(key, expected.into());
        }
    }
    let known = ["name", "sub", "pub", "deny", "admin", "client_cert", "conflate_ms_min"];
    let quotas = QUOTAS.map(|(name, ..)| name);
    let all: Vec<&str> = known.into_iter().chain(quotas).chain(elsewhere.map(|(name, _)| name)).collect();
    reader.known(&all);
    // All are read before giving up, so that every problem is reported.
    let name = reader.needed("name");
    let [sub, publish, deny] = ["sub", "pub", "deny"].map(|key| reader.list(key, pattern));
    let client_cert = reader.list("client_cert", certificate);
    let admin = reader.flag("admin");
    let conflate_ms_min = reader.number("conflate_ms_min", INTERVAL_MS);
    let mut quotas = Quotas::default();
    for (name, allowed, place) in QUOTAS {
        *place(&mut quotas) = reader.number(name, allowed)?;
    }
    Some(Role {
        name: name?,
        sub: sub?,
        publish: publish?,
        deny: deny?,
        admin: admin?,
        client_cert: client_cert?,
        // It is within bounds.
        conflate_ms_min: conflate_ms_min?.map(|ms| u32::try_from(ms).unwrap_or(u32::MAX)),
        quotas,
    })
}

/// The quotas by their names in a role.
type Quota = (&'static str, Allowed, fn(&mut Quotas) -> &mut Option<u64>);

const QUOTAS: [Quota; 6] = [
    ("connections_max", COUNT, |quotas| &mut quotas.connections_max),
    ("subscriptions", COUNT, |quotas| &mut quotas.subscriptions),
    ("requests_per_s", RATE, |quotas| &mut quotas.requests_per_s),
    ("subscribes_per_s", RATE, |quotas| &mut quotas.subscribes_per_s),
    ("publishes_per_s", RATE, |quotas| &mut quotas.publishes_per_s),
    ("publish_bytes_per_s", BYTE_RATE, |quotas| &mut quotas.publish_bytes_per_s),
];

fn pattern(text: &str) -> Result<Line, String> {
    Line::parse(text).map_err(|error| format!("a pattern ({error})"))
}

fn certificate(text: &str) -> Result<String, String> {
    let good = !text.is_empty() && text.len() <= 255 && !text.chars().any(|sign| sign.is_control() || sign == ' ');
    good.then(|| text.to_owned()).ok_or_else(|| "a DNS name or a URI, as a certificate has it among its names".into())
}

fn token(reader: &mut Reader<'_>) -> Option<StaticToken> {
    reader.known(&["name", "sha256", "roles"]);
    let name = reader.needed("name");
    let sha256 = TokenDigest::parse(reader.text("sha256"));
    if sha256.is_none() {
        // Somebody may have written the token itself.
        reader.bad_secret(
            "sha256",
            "the SHA-256 of the token, as 64 hexadecimal digits (printf %s TOKEN | sha256sum)".into(),
        );
    }
    let roles = reader.list("roles", |name| Ok(name.to_owned()));
    Some(StaticToken { name: name?, sha256: sha256?, roles: roles? })
}

/// Prints roles and tokens as the file has them.
pub(super) fn show(out: &mut String, config: &Config) {
    out.push_str(
        "\n# ---- Roles, by which tokens and client certificates say what a client may do. Each has a name and any of sub, pub and\n\
         # deny (patterns; {sub} and {tenant} stand for whole segments), admin, client_cert, conflate_ms_min, connections_max,\n\
         # subscriptions, requests_per_s, subscribes_per_s, publishes_per_s, publish_bytes_per_s.\n",
    );
    for role in &config.roles {
        put(out, format_args!("\n[[roles]]\nname = {}\n", quoted(&role.name)));
        for (key, lines) in [("sub", &role.sub), ("pub", &role.publish), ("deny", &role.deny)] {
            show_list(out, key, lines);
        }
        show_list(out, "client_cert", &role.client_cert);
        if role.admin {
            out.push_str("admin = true\n");
        }
        let mut quotas = role.quotas;
        let numbers = QUOTAS.iter().map(|(name, _, place)| (*name, *place(&mut quotas)));
        let numbers: Vec<_> = numbers.collect();
        for (name, number) in [("conflate_ms_min", role.conflate_ms_min.map(u64::from))].into_iter().chain(numbers) {
            if let Some(number) = number {
                put(out, format_args!("{name} = {number}\n"));
            }
        }
    }
    out.push_str("\n# ---- Tokens that do not end, each known by its SHA-256: a name, sha256 and roles.\n");
    for token in &config.tokens {
        put(out, format_args!("\n[[tokens]]\nname = {}\n", quoted(&token.name)));
        put(out, format_args!("sha256 = \"{}\"\n", token.sha256.to_hex()));
        show_list(out, "roles", &token.roles);
    }
}

fn show_list(out: &mut String, key: &str, items: &[impl ToString]) {
    if !items.is_empty() {
        let items = items.iter().map(|item| toml::Value::String(item.to_string())).collect();
        put(out, format_args!("{key} = {}\n", toml::Value::Array(items)));
    }
}

fn quoted(text: &str) -> toml::Value {
    toml::Value::String(text.to_owned())
}
