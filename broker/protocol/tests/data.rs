//! `data` against an independent parser: accepted is exactly what serde_json accepts (which has no depth limit here),
//! and what is carried is the text without the white space outside strings.

use broker_protocol::data::LEVELS_MAX;
use broker_protocol::{Data, DataError, ErrorCode};
use proptest::prelude::*;
use serde_json::value::RawValue;

fn compact(data: &Data<'_>) -> String {
    let mut out = b"before".to_vec();
    data.append_compact(&mut out);
    String::from_utf8(out).expect("compact text is text").strip_prefix("before").expect("appended").to_owned()
}

/// Drops white space outside strings, in the simplest way.
fn compact_model(text: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    let kept = text.chars().filter(|&character| {
        let keep = in_string || !matches!(character, ' ' | '\n' | '\r' | '\t');
        match character {
            '"' if !escaped => in_string = !in_string,
            _ => {}
        }
        escaped = in_string && character == '\\' && !escaped;
        keep
    });
    kept.collect()
}

/// The deepest nesting in a valid text.
fn levels(text: &str) -> u32 {
    let (mut levels, mut deepest, mut in_string, mut escaped) = (0, 0, false, false);
    for byte in text.bytes() {
        match byte {
            b'"' if !escaped => in_string = !in_string,
            b'[' | b'{' if !in_string => levels += 1,
            b']' | b'}' if !in_string => levels -= 1,
            _ => {}
        }
        escaped = in_string && byte == b'\\' && !escaped;
        deepest = deepest.max(levels);
    }
    deepest
}

fn check(text: &str) {
    let theirs = serde_json::from_str::<&RawValue>(text);
    match (Data::check(text), theirs) {
        (Ok(data), Ok(raw)) => {
            assert_eq!(data.raw(), raw.get(), "the span of {text:?}");
            assert_eq!(compact(&data), compact_model(text), "of {text:?}");
            assert_eq!(data.is_object(), raw.get().starts_with('{'));
            assert!(levels(text) <= LEVELS_MAX);
        }
        (Err(DataError::TooDeep { levels: found }), Ok(_)) => assert_eq!(found, levels(text)),
        (Err(DataError::Syntax(error)), Err(_)) => assert!(error.at <= text.len()),
        (ours, theirs) => panic!("{text:?}: we say {ours:?}, serde_json {theirs:?}"),
    }
}

/// Valid JSON text with odd white space, numbers of any length, every escape.
fn json() -> impl Strategy<Value = String> {
    let space = || prop::sample::select(&["", "", "", " ", "\n", "\t\r\n  "][..]);
    let number = "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{1,30})?([eE][+-]?[0-9]{1,5})?";
    let string = r#""([^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4}|\\u[dD][89abAB][0-9a-fA-F]{2}){0,20}""#;
    let leaf = prop_oneof![
        4 => number,
        4 => string,
        1 => prop::sample::select(&["true", "false", "null", "{}", "[]", "[ ]", "{\n}"][..]).prop_map(str::to_owned),
    ];
    let value = leaf.prop_recursive(5, 60, 6, move |inner| {
        let element = (space(), inner, space()).prop_map(|(before, value, after)| format!("{before}{value}{after}"));
        let key = (space(), string, space()).prop_map(|(before, key, after)| format!("{before}{key}{after}"));
        let member = (key, element.clone()).prop_map(|(key, value)| format!("{key}:{value}"));
        prop_oneof![
            prop::collection::vec(element, 1..6).prop_map(|elements| format!("[{}]", elements.join(","))),
            prop::collection::vec(member, 1..6).prop_map(|members| format!("{{{}}}", members.join(","))),
        ]
    });
    (space(), value, space()).prop_map(|(before, value, after)| format!("{before}{value}{after}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn valid_text_is_carried(text in json()) {
        prop_assert!(Data::check(&text).is_ok(), "{}", text);
        check(&text);
    }

    #[test]
    fn cut_and_changed_text_gets_the_same_verdict(
        text in json(),
        cut in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), odd_character()), 0..4),
    ) {
        let mut characters: Vec<char> = text.chars().collect();
        for (at, (what, character)) in changes {
            let at = at.index(characters.len() + 1);
            match what {
                0 => characters.insert(at, character),
                1 if at < characters.len() => characters[at] = character,
                _ if at < characters.len() => { characters.remove(at); }
                _ => {}
            }
        }
        let text: String = characters.iter().collect();
        check(&text);
        let cut: String = characters[..cut.index(characters.len() + 1)].iter().collect();
        check(&cut);
    }

    #[test]
    fn any_text_gets_the_same_verdict(text in "[\\[\\]{}\",:0-9eE.+\\-truefalsn\\\\ \n\u{b}\u{a0}é]{0,12}") {
        check(&text);
    }
}

fn odd_character() -> impl Strategy<Value = (u8, char)> {
    let characters = "{}[]\",:\\u/0123456789-+.eE truefalsn\t\n\u{0}\u{1f}\u{7f}\u{a0}\u{2028}\u{feff}é😀'";
    (0..3_u8, prop::sample::select(characters.chars().collect::<Vec<_>>()))
}

#[test]
fn the_grammar_to_the_letter() {
    let table = [
        "",
        " ",
        "0",
        "-0",
        "00",
        "01",
        "-",
        "-01",
        "1.",
        ".5",
        "1.0",
        "1e",
        "1e+",
        "1E-07",
        "1e5.0",
        "+1",
        "0x1",
        "1_0",
        "NaN",
        "Infinity",
        "-Infinity",
        "nul",
        "nulll",
        "true false",
        "True",
        "\"",
        "\"\\",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u123g\"",
        "\"\\ud800\"",
        "\"\\udc00\\ud800\"",
        "\"\t\"",
        "\"\u{7f}\"",
        "\"\u{0}\"",
        "'a'",
        "[",
        "]",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1,,2]",
        "{",
        "}",
        "{]",
        "[}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{\"a\" 1}",
        "{1:1}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":1,\"a\":2}",
        "\u{feff}1",
        "1\u{0}",
        "[1]]",
        "/**/1",
        "\u{a0}1",
        "\u{b}1",
        "[[[[]]]]",
        "{\"\":{\"\":[]}}",
        "123456789012345678901234567890.123456789012345678901234567890e99999",
    ];
    table.into_iter().for_each(check);
}

#[test]
fn depth_is_counted_in_the_data_itself() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"a\":", "}]"), ("[1,", "]")] {
        let per = open.bytes().filter(|byte| b"[{".contains(byte)).count();
        let deep = |levels: usize| format!("{}0{}", open.repeat(levels / per), close.repeat(levels / per));
        assert!(Data::check(&deep(128)).is_ok());
        for levels in [130, 256, 10_000] {
            let error = Data::check(&deep(levels)).expect_err("too deep");
            assert_eq!(error, DataError::TooDeep { levels: levels as u32 });
            assert_eq!(error.code(), ErrorCode::BadRequest);
        }
        check(&deep(128));
        check(&deep(300));
    }
    check(&"[".repeat(10_000));
    check(&format!("{}{}", "[".repeat(1_000), "}".repeat(1_000)));
}

#[test]
fn a_patch_is_an_object_without_duplicate_keys() {
    let good =
        ["{}", r#" {"a":1,"b":{"a":1}} "#, r#"{"a":[{"a":1},{"a":1}],"b":"a","A":1}"#, r#"{"\u0061":1,"\\u0061":1}"#];
    for text in good {
        assert!(Data::check_patch(text).is_ok(), "{text}");
    }
    let bad = [
        (r#"{"a":1,"a":2}"#, "the key \"a\" is given twice in an object of a patch"),
        (r#"{"a":1,"\u0061" : 2}"#, "is given twice"),
        (r#"{"x":{"y":[0,{"k":1,"z":{},"k":null}]}}"#, "the key \"k\""),
        (r#"{"\ud83d\ude00":1,"😀":2}"#, "is given twice"),
        (r#"{"":1,"":2}"#, "the key \"\""),
        ("[]", "must be an object"),
        ("null", "must be an object"),
    ];
    for (text, sentence) in bad {
        let error = Data::check_patch(text).expect_err(text);
        assert_eq!(error.code(), ErrorCode::BadRequest);
        assert!(error.to_string().contains(sentence), "{text}: {error}");
    }
    assert_eq!(Data::check_patch("{").map_err(|error| error.code()).err(), Some(ErrorCode::BadJson));
}
