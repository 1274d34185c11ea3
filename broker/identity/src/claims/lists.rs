//! What a token itself says that its client may do.

use broker_protocol::Pattern;

use super::ClaimRules;
use super::name::Found;
use crate::members::{Members, read};
use crate::refusal::{BadToken, Claim};

/// The most patterns of one token, all lists together.
pub const CLAIM_PATTERNS_MAX: usize = 256;

/// The lists of a token: roles by name, and patterns.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lists {
    pub(crate) roles: Vec<String>,
    pub(crate) sub: Vec<Pattern>,
    pub(crate) publish: Vec<Pattern>,
    pub(crate) deny: Vec<Pattern>,
}

impl Lists {
    pub(super) fn read(members: &Members<'_>, rules: &ClaimRules) -> Result<Lists, BadToken> {
        let mut lists = match rules.claim.find(members) {
            Found::Nothing => Lists::default(),
            Found::NoObject => return Err(BadToken::Claim(Claim::Permissions)),
            Found::Value(text) => Lists::of_claim(text)?,
        };
        match rules.roles_claim.as_ref().map(|name| name.find(members)) {
            None | Some(Found::Nothing) => {}
            Some(Found::NoObject) => return Err(BadToken::Claim(Claim::Roles)),
            Some(Found::Value(text)) => {
                lists.roles.extend(read::<Vec<String>>(text).ok_or(BadToken::Claim(Claim::Roles))?);
            }
        }
        Ok(lists)
    }

    fn of_claim(text: &str) -> Result<Lists, BadToken> {
        let wrong = BadToken::Claim(Claim::Permissions);
        let members = Members::parse(text).ok_or(wrong)?;
        // A list that is misspelt must not be overlooked: it could be the one that denies.
        if members.names().any(|name| !["roles", "sub", "pub", "deny"].contains(&name)) {
            return Err(wrong);
        }
        let list = |name: &str| -> Result<Vec<String>, BadToken> {
            members.get(name).map_or(Ok(Vec::new()), |text| read(text).ok_or(wrong))
        };
        let [sub, publish, deny] = [list("sub")?, list("pub")?, list("deny")?];
        if sub.len() + publish.len() + deny.len() > CLAIM_PATTERNS_MAX {
            return Err(BadToken::TooMuch);
        }
        let [sub, publish, deny] = [patterns(sub)?, patterns(publish)?, patterns(deny)?];
        Ok(Lists { roles: list("roles")?, sub, publish, deny })
    }
}

fn patterns(texts: Vec<String>) -> Result<Vec<Pattern>, BadToken> {
    let parsed = texts.iter().map(|text| Pattern::parse(text));
    parsed.collect::<Result<_, _>>().map_err(|_| BadToken::Claim(Claim::Pattern))
}
