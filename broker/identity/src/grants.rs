//! The roles, and the identities that need no JWT: static tokens, certificates, `anonymous`. They are put together once.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::claims::Lists;
use crate::identity::{Identity, Source};
use crate::roles::{ANONYMOUS, CLIENT_ROLES_MAX, NAME, PATTERNS_MAX, Role, Roles, TooMuch, Who, is_name};
use crate::static_tokens::{STATIC_TOKENS_MAX, StaticToken, TokenDigest};

/// What a configuration grants, and to whom.
#[derive(Debug, Default)]
pub struct Grants {
    roles: Roles,
    tokens: Vec<(TokenDigest, Arc<Identity>)>,
    certificates: HashMap<String, Arc<Identity>>,
    anonymous: Option<Arc<Identity>>,
}

impl Grants {
    /// Checks the roles and the static tokens of a configuration.
    ///
    /// # Errors
    /// A sentence for each thing that is wrong.
    pub fn new(roles: Vec<Role>, tokens: Vec<StaticToken>) -> Result<Grants, Vec<String>> {
        let mut grants = Grants { roles: Roles::new(roles)?, ..Grants::default() };
        let mut problems = grants.check_tokens(&tokens);
        for token in tokens {
            let roles = token.roles.iter().map(String::as_str);
            match grants.fixed(Some(&token.name), roles, Source::Static(token.sha256)) {
                Ok(identity) => grants.tokens.push((token.sha256, identity)),
                Err(TooMuch) => problems.push(too_much(&format!("the token {:?}", token.name))),
            }
        }
        let mut by_certificate: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for role in grants.roles.iter() {
            role.client_cert
                .iter()
                .for_each(|name| by_certificate.entry(key(name)).or_default().push(role.name.clone()));
        }
        for (name, mut roles) in by_certificate {
            roles.sort_unstable();
            match grants.fixed(Some(&name), roles.iter().map(String::as_str), Source::Certificate) {
                Ok(identity) => _ = grants.certificates.insert(name, identity),
                Err(TooMuch) => problems.push(too_much(&format!("the certificate of {name:?}"))),
            }
        }
        if grants.roles.has(ANONYMOUS) {
            grants.anonymous = grants.fixed(None, [ANONYMOUS], Source::Anonymous).ok();
        }
        if problems.is_empty() { Ok(grants) } else { Err(problems) }
    }

    fn check_tokens(&self, tokens: &[StaticToken]) -> Vec<String> {
        let mut problems = Vec::new();
        if tokens.len() > STATIC_TOKENS_MAX {
            problems.push(format!("there are {} tokens, at most {STATIC_TOKENS_MAX} are possible", tokens.len()));
        }
        for (index, token) in tokens.iter().enumerate() {
            let name = &token.name;
            if !is_name(name) {
                problems.push(format!("a token is called {name:?}: expected {NAME}"));
            }
            if tokens[..index].iter().any(|other| other.name == *name) {
                problems.push(format!("two tokens are called {name:?}"));
            }
            if let Some(other) = tokens[..index].iter().find(|other| other.sha256 == token.sha256) {
                problems.push(format!("the tokens {:?} and {name:?} have the same sha256", other.name));
            }
            for role in token.roles.iter().filter(|role| !self.roles.has(role)) {
                problems.push(format!("the token {name:?} has the role {role:?}, which does not exist"));
            }
        }
        problems
    }

    /// An identity that does not end by itself.
    fn fixed<'a>(
        &self,
        sub: Option<&str>,
        roles: impl IntoIterator<Item = &'a str>,
        source: Source,
    ) -> Result<Arc<Identity>, TooMuch> {
        let given = self.roles.give(roles, Lists::default(), Who { sub, tenant: None })?;
        Ok(Arc::new(Identity::new(sub, given, source)))
    }

    /// Whether there is anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.roles.is_empty() && self.tokens.is_empty()
    }

    /// The roles.
    pub(crate) fn roles(&self) -> &Roles {
        &self.roles
    }

    /// What a client without a token has.
    pub(crate) fn anonymous(&self) -> Option<Arc<Identity>> {
        self.anonymous.clone()
    }

    /// What a client with a certificate of this name has.
    pub(crate) fn certificate(&self, name: &str) -> Option<Arc<Identity>> {
        self.certificates.get(&key(name)).cloned()
    }

    /// What a client with a static token has. All are compared, whether or not one was found already.
    pub(crate) fn token(&self, digest: &TokenDigest) -> Option<Arc<Identity>> {
        let mut found = None;
        for (known, identity) in &self.tokens {
            if known.is(digest) {
                found = Some(identity);
            }
        }
        found.cloned()
    }

    /// Whether there are static tokens.
    pub(crate) fn has_tokens(&self) -> bool {
        !self.tokens.is_empty()
    }
}

/// A certificate's name as it is compared: DNS names are the same in either case (RFC 4343), URIs are not.
fn key(name: &str) -> String {
    if name.contains(':') { name.to_owned() } else { name.to_ascii_lowercase() }
}

fn too_much(whose: &str) -> String {
    format!(
        "the roles of {whose} are too much for one client: at most {CLIENT_ROLES_MAX} roles with at most {PATTERNS_MAX} \
         patterns together are possible"
    )
}
