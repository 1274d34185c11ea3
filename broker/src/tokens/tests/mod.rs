//! Keys from files and from a fake issuer, over real sockets.

mod endpoint;
mod fetching;
mod files;
mod signer;
mod sources;

use std::sync::Arc;
use std::time::Duration;

use broker_identity::{Algorithm, ClaimName, ClaimRules, Grants, TokenRules};

use super::Tokens;
use super::files::{Prepared, Sources};
use crate::clock;

fn rules() -> TokenRules {
    TokenRules {
        bytes_max: 8192,
        algorithms: vec![Algorithm::Es256, Algorithm::EdDsa, Algorithm::Hs256],
        claims: ClaimRules {
            audience: "tickcast".to_owned(),
            issuer: None,
            claim: ClaimName::parse("tickcast").unwrap(),
            roles_claim: None,
            leeway_ms: 0,
            lifetime_max_ms: 86_400_000,
        },
    }
}

fn sources() -> Sources {
    Sources {
        key_file: None,
        secret_file: None,
        revoked_file: None,
        keys_url: None,
        refresh_ms: 600_000,
        cooldown_ms: 30_000,
        stale_ms: 86_400_000,
    }
}

fn prepare(sources: Sources) -> Result<Prepared, String> {
    Prepared::read(rules(), Grants::default(), sources)
}

fn tokens(sources: Sources) -> Arc<Tokens> {
    Tokens::new(prepare(sources).unwrap(), clock::now, None)
}

/// Waits until something is so. A test that waits in vain is ended by the time that it may take.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let waited = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waited).await.unwrap_or_else(|_| panic!("waited in vain: {what}"));
}
