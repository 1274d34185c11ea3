//! The name of a claim in a setting.

use crate::members::Members;

/// Where a claim is. A name with `/` or `:` is the whole name of one claim, as Auth0 wants it
/// (`https://desk.example.com/tickcast`). In any other name a dot leads into an object, as Keycloak has them
/// (`realm_access.roles`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimName(String);

/// What is at the place of a claim.
pub(super) enum Found<'a> {
    /// The text of its value.
    Value(&'a str),
    /// Nothing: the claim, or an object on the way to it, is missing.
    Nothing,
    /// On the way there is something that is no object.
    NoObject,
}

impl ClaimName {
    /// Reads a name; `None` if it, or a part of its path, is empty.
    pub fn parse(text: &str) -> Option<ClaimName> {
        let name = ClaimName(text.to_owned());
        let whole = name.parts().all(|part| !part.is_empty());
        whole.then_some(name)
    }

    /// The name as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn parts(&self) -> impl Iterator<Item = &str> {
        let separator = if self.0.contains(['/', ':']) { None } else { Some('.') };
        self.0.split(move |sign| Some(sign) == separator)
    }

    pub(super) fn find<'a>(&self, members: &Members<'a>) -> Found<'a> {
        let mut parts = self.parts();
        let Some(first) = parts.next() else { return Found::Nothing };
        let Some(mut value) = members.get(first) else { return Found::Nothing };
        for part in parts {
            let Some(inner) = Members::parse(value) else { return Found::NoObject };
            match inner.get(part) {
                None => return Found::Nothing,
                Some(text) => value = text,
            }
        }
        Found::Value(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_claim_or_a_path() {
        let payload = r#"{"a":{"b":{"c":1},"x":2},"a.b":3,"https://a.example/b.c":4,"urn:a.b":5}"#;
        let members = Members::parse(payload).expect("an object");
        let table = [
            ("a.b.c", "1"),
            ("a.x", "2"),
            ("https://a.example/b.c", "4"),
            ("urn:a.b", "5"),
            ("a.y", "nothing"),
            ("z.y", "nothing"),
            ("a.x.y", "no object"),
        ];
        for (name, expected) in table {
            let found = match ClaimName::parse(name).expect(name).find(&members) {
                Found::Value(text) => text,
                Found::Nothing => "nothing",
                Found::NoObject => "no object",
            };
            assert_eq!(found, expected, "{name}");
        }
        for name in ["", ".", "a.", ".a", "a..b"] {
            assert_eq!(ClaimName::parse(name), None, "{name}");
        }
    }
}
