//! The token that says who the client is, and where it comes from.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

/// Why there is no token.
pub type TokenError = Box<dyn Error + Send + Sync>;

type Asked = Pin<Box<dyn Future<Output = Result<Option<String>, TokenError>> + Send>>;

/// Where the client's token comes from. It is asked for before every attempt to connect, and again before the token ends.
/// Neither `Debug` nor any error shows a token.
///
/// ```
/// use broker_client::{Options, Token};
///
/// async fn issued() -> Result<Option<String>, std::io::Error> {
///     Ok(Some("a token of the identity provider".to_owned()))
/// }
/// let mut options = Options::new("wss://md.example");
/// options.token = Token::from_fn(issued);
/// ```
#[derive(Clone, Default)]
pub struct Token(Source);

#[derive(Clone, Default)]
enum Source {
    #[default]
    None,
    Fixed(Arc<str>),
    File(Arc<PathBuf>),
    Function(Arc<dyn Fn() -> Asked + Send + Sync>),
}

impl Token {
    /// No token: the broker takes the client for anonymous.
    pub fn none() -> Token {
        Token(Source::None)
    }

    /// One token. It is not sent again after the broker has refused it.
    pub fn fixed(token: impl Into<String>) -> Token {
        Token(Source::Fixed(token.into().into()))
    }

    /// The content of a file, without white space around it. It is read each time.
    pub fn file(path: impl Into<PathBuf>) -> Token {
        Token(Source::File(Arc::new(path.into())))
    }

    /// What an async function returns; `None` if there is no token to give. If it fails, it is called again after the
    /// usual waits ([`Options::backoff`](crate::Options::backoff)).
    pub fn from_fn<F, A, E>(function: F) -> Token
    where
        F: Fn() -> A + Send + Sync + 'static,
        A: Future<Output = Result<Option<String>, E>> + Send + 'static,
        E: Into<TokenError>,
    {
        Token(Source::Function(Arc::new(move || {
            let asked = function();
            Box::pin(async move { asked.await.map_err(Into::into) })
        })))
    }

    /// Whether another token can be had when the broker refuses one.
    pub(crate) fn can_change(&self) -> bool {
        matches!(self.0, Source::File(_) | Source::Function(_))
    }

    /// Asks for the token.
    pub(crate) async fn ask(&self) -> Result<Option<Secret>, TokenError> {
        let said = match &self.0 {
            Source::None => None,
            Source::Fixed(token) => Some(token.to_string()),
            Source::File(path) => Some(
                std::fs::read_to_string(path.as_ref())
                    .map_err(|error| format!("the token file {} cannot be read: {error}", path.display()))?,
            ),
            Source::Function(function) => function().await?,
        };
        said.map(Secret::new).transpose()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::None => f.write_str("Token::none()"),
            Source::Fixed(_) => f.write_str("Token::fixed(…)"),
            Source::File(path) => write!(f, "Token::file({path:?})"),
            Source::Function(_) => f.write_str("Token::from_fn(…)"),
        }
    }
}

/// Two are equal if they give the same token by construction; of functions, if they are the same one.
impl PartialEq for Token {
    fn eq(&self, other: &Token) -> bool {
        match (&self.0, &other.0) {
            (Source::None, Source::None) => true,
            (Source::Fixed(one), Source::Fixed(other)) => one == other,
            (Source::File(one), Source::File(other)) => one == other,
            (Source::Function(one), Source::Function(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl Eq for Token {}

/// A token that no log and no error shows.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    fn new(said: String) -> Result<Secret, TokenError> {
        let token = said.trim();
        if token.is_empty() {
            return Err("the token is empty".into());
        }
        if !token.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Err("the token has characters that are not printable ASCII".into());
        }
        Ok(Secret(token.to_owned()))
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// A text without the token, in case someone has written it there.
    pub(crate) fn hide(&self, text: &str) -> String {
        text.replace(&self.0, "…")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_token_is_trimmed_and_never_shown() {
        let secret = Token::fixed(" marker\n").ask().await.unwrap().unwrap();
        assert_eq!(secret.expose(), "marker");
        assert_eq!(secret.hide("marker has expired"), "… has expired");
        assert!(!format!("{secret:?} {:?}", Token::fixed("marker")).contains("marker"));
        for wrong in ["", "  ", "marker\nmarker", "né"] {
            let error = Token::fixed(wrong).ask().await.unwrap_err().to_string();
            assert!(!error.contains("marker"), "{error}");
        }
        assert_eq!(Token::none().ask().await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_missing_file_is_named() {
        let error = Token::file("/nowhere/token").ask().await.unwrap_err().to_string();
        assert!(error.contains("/nowhere/token"), "{error}");
    }
}
