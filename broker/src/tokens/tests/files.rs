//! Keys and revocations from files.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use broker_identity::BadToken;

use super::signer::{Signer, jwks};
use super::{prepare, sources, tokens};
use crate::tokens::Sources;

fn write(path: &Path, content: impl AsRef<[u8]>) {
    std::fs::write(path, content).unwrap();
}

#[test]
fn a_file_that_is_wrong_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let (key, secret, revoked) = (
        Sources { key_file: Some(path.clone()), ..sources() },
        Sources { secret_file: Some(path.clone()), ..sources() },
        Sources { revoked_file: Some(path.clone()), ..sources() },
    );
    let problem = |sources: &Sources| prepare(sources.clone()).map(|_| ()).unwrap_err();
    for (sources, name) in [(&key, "token_key_file"), (&secret, "token_secret_file"), (&revoked, "token_revoked_file")]
    {
        assert!(problem(sources).contains(&format!("{name} = {}: the file cannot be read", path.display())));
    }
    let folder_is_no_file = Sources { key_file: Some(folder.path().to_owned()), ..sources() };
    assert!(problem(&folder_is_no_file).contains("it is not a file"));
    write(&path, "");
    assert!(problem(&key).contains("neither a PEM public key nor a JWKS"));
    assert!(problem(&secret).contains("at least 32"));
    assert!(prepare(revoked.clone()).is_ok());
    write(&path, vec![b' '; (16 << 20) + 1]);
    for sources in [&key, &secret, &revoked] {
        assert!(problem(sources).contains("the file has more than"));
    }
    // Nothing of a secret is in a sentence.
    write(&path, "MARKER");
    assert!(!problem(&secret).contains("MARKER") && !problem(&key).contains("MARKER"));
}

#[test]
fn oddities_are_warnings() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    write(&path, "0123456789abcdef0123456789abcdef\n");
    let secret = Sources { secret_file: Some(path.clone()), ..sources() };
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(prepare(secret.clone()).unwrap().warnings[0].contains("other users of this machine can read it"));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(prepare(secret).unwrap().warnings, [""; 0]);
    write(&path, jwks(&[&Signer::new("one")]).replace("]}", r#",{"kty":"oct"}]}"#));
    let key = Sources { key_file: Some(path.clone()), ..sources() };
    assert_eq!(prepare(key).unwrap().warnings, ["token_key_file: key 2: it is a secret (oct); it is not used"]);
    write(&path, "jti:a\nnonsense\nsub:b before:x");
    let revoked = prepare(Sources { revoked_file: Some(path.clone()), ..sources() }).unwrap();
    let lines: Vec<String> = revoked.bad_lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].ends_with("line 2 is no entry: it begins neither with jti: nor with sub:"), "{lines:?}");
}

#[tokio::test]
async fn a_file_is_read_again_when_its_content_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwks.json");
    let (old, new) = (Signer::new("old"), Signer::new("new"));
    write(&path, jwks(&[&old]));
    let tokens = tokens(Sources { key_file: Some(path.clone()), ..sources() });
    let mut swaps = tokens.swaps();
    swaps.mark_unchanged();
    assert!(tokens.authenticate(&old.token()).is_ok());
    tokens.look_at_files().await;
    assert!(!swaps.has_changed().unwrap());
    // Broken, half-written, or gone: what it said before counts.
    for content in [Some("nonsense"), Some(""), None] {
        match content {
            Some(content) => write(&path, content),
            None => std::fs::remove_file(&path).unwrap(),
        }
        tokens.look_at_files().await;
        assert!(tokens.state().keys_failed && !swaps.has_changed().unwrap(), "{content:?}");
        assert!(tokens.authenticate(&old.token()).is_ok());
    }
    // As Kubernetes does it: another file in its place.
    let other = folder.path().join("other");
    write(&other, jwks(&[&new]));
    std::os::unix::fs::symlink(&other, &path).unwrap();
    tokens.look_at_files().await;
    assert!(!tokens.state().keys_failed && swaps.has_changed().unwrap());
    assert!(tokens.authenticate(&new.token()).is_ok());
    assert_eq!(tokens.authenticate(&old.token()), Err(BadToken::UnknownKey));
}

#[tokio::test]
async fn revocations_count_as_soon_as_the_file_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let (keys, revoked) = (folder.path().join("jwks.json"), folder.path().join("revoked"));
    let signer = Signer::new("one");
    write(&keys, jwks(&[&signer]));
    write(&revoked, "# nothing yet\n");
    let tokens = tokens(Sources { key_file: Some(keys), revoked_file: Some(revoked.clone()), ..sources() });
    let token = signer.token_of("bob", "one");
    let identity = tokens.authenticate(&token).unwrap();
    write(&revoked, "nonsense\nsub:bob before:99999999999\n");
    tokens.look_at_files().await;
    assert_eq!(tokens.authenticate(&token), Err(BadToken::Revoked));
    assert!(tokens.authority().renew(&identity, identity.taken_ms).is_err());
    assert_eq!((tokens.state().revoked, tokens.state().revoked_failed), (1, false));
    // Gone: the last content counts.
    std::fs::remove_file(&revoked).unwrap();
    tokens.look_at_files().await;
    assert_eq!(tokens.authenticate(&token), Err(BadToken::Revoked));
    assert_eq!((tokens.state().revoked, tokens.state().revoked_failed), (1, true));
    write(&revoked, "");
    tokens.look_at_files().await;
    assert!(tokens.authenticate(&token).is_ok());
    assert_eq!((tokens.state().revoked, tokens.state().revoked_failed), (0, false));
}

#[tokio::test]
async fn files_are_looked_at_without_being_asked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwks.json");
    let (old, new) = (Signer::new("old"), Signer::new("new"));
    write(&path, jwks(&[&old]));
    let prepared = prepare(Sources { key_file: Some(path.clone()), ..sources() }).unwrap();
    let tokens = super::Tokens::new(prepared, crate::clock::now, Some(std::time::Duration::from_millis(5)));
    let task = tokio::spawn(tokens.clone().run());
    write(&path, jwks(&[&new]));
    super::until("the new key counts", || tokens.authenticate(&new.token()).is_ok()).await;
    task.abort();
}
