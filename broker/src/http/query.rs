//! The parameters of a request. An unknown parameter is refused by name, because an option that silently has no effect
//! is worse.

use broker_protocol::codes::ErrorCode;
use broker_protocol::request::Refusal;

use super::percent::decode;

/// Numbers in requests stay exact in a JavaScript number.
const NUMBER_MAX: u64 = (1 << 53) - 1;

/// The known parameters of one request, decoded.
pub(super) struct Query {
    known: &'static [&'static str],
    repeats: &'static str,
    given: Vec<(&'static str, String)>,
}

impl Query {
    /// Parses a query, in which each of the known names may be given once.
    pub(super) fn parse(query: Option<&str>, known: &'static [&'static str]) -> Result<Query, Refusal> {
        let mut read = Query::of(known, "");
        query.unwrap_or_default().split('&').try_for_each(|part| read.add(part))?;
        Ok(read)
    }

    /// An empty query, to which parts are added. Each of the known names may be given once, and `repeats` any number of
    /// times.
    pub(super) fn of(known: &'static [&'static str], repeats: &'static str) -> Query {
        Query { known, repeats, given: Vec::new() }
    }

    /// Parses one part of those that `&` separates.
    pub(super) fn add(&mut self, part: &str) -> Result<(), Refusal> {
        if part.is_empty() {
            return Ok(());
        }
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let name = decode(name)?;
        let Some(known) = self.known.iter().find(|known| **known == name) else {
            return Err(unknown(&name, self.known));
        };
        if *known != self.repeats && self.given.iter().any(|(given, _)| given == known) {
            return Err(bad_request(format!("the parameter {known} is given twice")));
        }
        self.given.push((known, decode(value)?));
        Ok(())
    }

    /// Returns a parameter's value.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.given.iter().find(|(given, _)| *given == name).map(|(_, value)| value.as_str())
    }

    /// Takes out the values of the parameter that may be repeated, in their order.
    pub(super) fn take_repeated(&mut self) -> Vec<String> {
        let repeats = self.repeats;
        self.given.extract_if(.., |(given, _)| *given == repeats).map(|(_, value)| value).collect()
    }

    /// Returns a parameter that must be one of these words.
    pub(super) fn word<T>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Option<T>,
        words: &str,
    ) -> Result<Option<T>, Refusal> {
        let Some(text) = self.text(name) else { return Ok(None) };
        parse(text).map(Some).ok_or_else(|| bad_request(format!("the parameter {name} must be {words}")))
    }

    /// Returns a parameter that must be a whole number.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Refusal> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse::<u64>() {
            Ok(number) if digits && number <= NUMBER_MAX => Ok(Some(number)),
            _ => Err(bad_request(format!("the parameter {name} must be a whole number from 0 to {NUMBER_MAX}"))),
        }
    }

    /// Returns a number of items to list, within bounds.
    pub(super) fn count(&self, name: &str, default: u64, min: u64, max: u64) -> Result<usize, Refusal> {
        let count = self.number(name)?.unwrap_or(default);
        if (min..=max).contains(&count) {
            // At most `max`, which is a small constant.
            Ok(usize::try_from(count).unwrap_or(usize::MAX))
        } else {
            Err(bad_request(format!("the parameter {name} must be from {min} to {max}")))
        }
    }
}

fn unknown(name: &str, known: &[&str]) -> Refusal {
    let name: String = name.chars().take(64).collect();
    let known = match known {
        [] => "this request takes none".to_owned(),
        names => format!("this request takes {}", names.join(", ")),
    };
    bad_request(format!("there is no parameter {name:?}: {known}"))
}

/// A refusal with the code `bad_request`.
pub(super) fn bad_request(message: impl Into<String>) -> Refusal {
    Refusal { code: ErrorCode::BadRequest, message: message.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> Result<Query, Refusal> {
        Query::parse(Some(query), &["match", "limit"])
    }

    #[test]
    fn values_are_decoded() {
        let query = parse("match=a%2Fb.%3E&limit=5").unwrap();
        assert_eq!((query.text("match"), query.number("limit")), (Some("a/b.>"), Ok(Some(5))));
        assert_eq!(parse("match=a+b").unwrap().text("match"), Some("a+b"));
        assert_eq!(parse("&match").unwrap().text("match"), Some(""));
    }

    #[test]
    fn the_error_names_the_parameter() {
        for (query, part) in [
            ("kind=event", "no parameter \"kind\": this request takes match, limit"),
            ("Match=a", "no parameter \"Match\""),
            ("limit=1&limit=2", "limit is given twice"),
            ("match=%", "percent sign"),
        ] {
            let message = parse(query).err().map(|refusal| refusal.message).unwrap_or_default();
            assert!(message.contains(part), "{query}: {message}");
        }
    }

    #[test]
    fn numbers_are_whole_and_bounded() {
        for text in ["", "-1", "+1", "1.0", "1e3", "9007199254740992", "99999999999999999999"] {
            assert!(parse(&format!("limit={text}")).unwrap().number("limit").is_err(), "{text}");
        }
        assert!(parse("limit=0").unwrap().count("limit", 100, 1, 1000).is_err());
        assert!(parse("limit=1001").unwrap().count("limit", 100, 1, 1000).is_err());
        assert_eq!(parse("").unwrap().count("limit", 100, 1, 1000), Ok(100));
    }
}
