//! The section "Who may connect" of `docs/protocol.md` as a table.

use super::*;

const OWN: &str = "own";
const FOREIGN: &str = "foreign";

/// The outcome of a request that is given as its header lines; `uri: …` is an absolute URL in the request line.
fn outcome(request: &str) -> String {
    let mut headers = HeaderMap::new();
    let mut uri = Uri::from_static("/v1/ws");
    let mut version = Version::HTTP_11;
    for line in request.split('|').map(str::trim).filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(": ").unwrap_or((line.trim_end_matches(':'), ""));
        if name == "uri" {
            uri = value.parse().unwrap();
        } else if name == "old" {
            version = Version::HTTP_10;
        } else {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
    }
    let rules = AccessRules {
        origins: ["https://desk.example.com", "http://app.example:8080"]
            .map(|text| Origin::parse(text).unwrap())
            .into(),
        hosts: vec![HostName::parse("feed.example.com").unwrap()],
        brokers: vec![Origin::parse("http://10.1.2.4:9000").unwrap()],
    };
    match check(version, &uri, &headers, &rules, None) {
        Ok(Access::Own) => OWN.into(),
        Ok(Access::Foreign(_)) => FOREIGN.into(),
        Ok(Access::Page(_)) => "the live page, on the client listener".into(),
        Err(denied) => denied.message,
    }
}

#[test]
fn who_may_connect() {
    let name = "is not a name of this broker";
    let origin = "may not connect here";
    let site = "a page of another site";
    let one = "needs exactly one Host";
    let cases = [
        // The host alone: programs.
        ("Host: 127.0.0.1:9000", OWN),
        ("Host: 127.0.0.1", OWN),
        ("Host: 10.1.2.3:9000", OWN),
        ("Host: [::1]:9000", OWN),
        ("Host: [::1]", OWN),
        ("Host: [2001:db8::7]:80", OWN),
        ("Host: localhost:9000", OWN),
        ("Host: LocalHost", OWN),
        ("Host: localhost:", OWN),
        ("Host: feed.example.com", OWN),
        ("Host: Feed.Example.COM:443", OWN),
        ("", one),
        ("old", OWN),
        ("old | Host: evil.example", name),
        ("old | Host: localhost | Host: localhost", one),
        ("old | Origin: http://localhost", origin),
        ("old | Origin: https://desk.example.com", FOREIGN),
        ("old | Sec-Fetch-Site: cross-site", site),
        ("Host: localhost | Host: localhost", one),
        ("Host: localhost | Host: evil.example", one),
        ("Host:", name),
        ("Host: evil.example", name),
        ("Host: evil.example:9000", name),
        ("Host: localhost.evil.example", name),
        ("Host: evil-localhost", name),
        ("Host: x.feed.example.com", name),
        ("Host: localhost.", name),
        ("Host: ::1", name),
        ("Host: [::1", name),
        ("Host: [::1]x", name),
        ("Host: [fe80::1%25eth0]", name),
        ("Host: 127.1", name),
        ("Host: 2130706433", name),
        ("Host: 0x7f000001", name),
        ("Host: 127.0.0.1:99999", name),
        ("Host: 127.0.0.1:+80", name),
        ("Host: user@localhost", name),
        ("Host: localhost/x", name),
        ("Host: localhost, evil.example", name),
        ("Host: lo\u{e9}calhost", name),
        // A full URL in the request line names the host again.
        ("uri: http://localhost:9000/v1/ws | Host: localhost:9000", OWN),
        ("uri: http://evil.example/v1/ws | Host: localhost:9000", "is not the one in Host"),
        ("uri: http://localhost:9001/v1/ws | Host: localhost:9000", "is not the one in Host"),
        // Browsers: the same origin.
        ("Host: localhost:9000 | Origin: http://localhost:9000", OWN),
        ("Host: LOCALHOST:9000 | Origin: http://localhost:9000", OWN),
        ("Host: localhost:9000 | Origin: https://localhost:9000", OWN),
        ("Host: localhost | Origin: http://localhost", OWN),
        ("Host: localhost:80 | Origin: http://localhost", OWN),
        ("Host: localhost | Origin: http://localhost:80", OWN),
        ("Host: feed.example.com | Origin: https://feed.example.com", OWN),
        ("Host: feed.example.com:443 | Origin: https://feed.example.com", OWN),
        ("Host: [::1]:9000 | Origin: http://[::1]:9000", OWN),
        ("Host: [0:0:0:0:0:0:0:1]:9000 | Origin: http://[::1]:9000", OWN),
        // Nearly the same.
        ("Host: localhost:9000 | Origin: http://localhost", origin),
        ("Host: localhost:9000 | Origin: http://localhost:9001", origin),
        ("Host: localhost:9000 | Origin: http://127.0.0.1:9000", origin),
        ("Host: localhost:80 | Origin: https://localhost", origin),
        ("Host: feed.example.com | Origin: https://feed.example.com:80", origin),
        ("Host: localhost:9000 | Origin: ftp://localhost:9000", origin),
        ("Host: localhost:9000 | Origin: http://localhost:9000/", origin),
        ("Host: localhost:9000 | Origin: localhost:9000", origin),
        ("Host: localhost:9000 | Origin: http://evil@localhost:9000", origin),
        // Foreign.
        ("Host: localhost:9000 | Origin: null", origin),
        ("Host: localhost:9000 | Origin:", origin),
        ("Host: localhost:9000 | Origin: http://evil.example", origin),
        ("Host: localhost:9000 | Origin: file://", origin),
        (
            "Host: localhost:9000 | Origin: http://localhost:9000 | Origin: http://localhost:9000",
            "more than one Origin",
        ),
        ("Host: evil.example | Origin: http://evil.example", name),
        // On the allow-list, in whatever way it is written; the host still counts.
        ("Host: localhost:9000 | Origin: https://desk.example.com", FOREIGN),
        ("Host: localhost:9000 | Origin: https://desk.example.com:443", FOREIGN),
        ("Host: localhost:9000 | Origin: https://DESK.example.com", FOREIGN),
        ("Host: localhost:9000 | Origin: http://app.example:8080", FOREIGN),
        ("Host: localhost:9000 | Origin: http://desk.example.com", origin),
        // Another broker of the cluster.
        ("Host: 10.1.2.3:9000 | Origin: http://10.1.2.4:9000", FOREIGN),
        ("Host: 10.1.2.3:9000 | Origin: http://10.1.2.4:9001", origin),
        ("Host: localhost:9000 | Origin: http://app.example", origin),
        ("Host: localhost:9000 | Origin: https://x.desk.example.com", origin),
        ("Host: evil.example | Origin: https://desk.example.com", name),
        // Without an Origin: what the browser says about the page that asks.
        ("Host: localhost:9000 | Sec-Fetch-Site: same-origin", OWN),
        ("Host: localhost:9000 | Sec-Fetch-Site: none", OWN),
        ("Host: localhost:9000 | Sec-Fetch-Site: same-site", site),
        ("Host: localhost:9000 | Sec-Fetch-Site: cross-site", site),
        // The live page, in a tab of its own.
        (
            "uri: / | Host: localhost:9000 | Sec-Fetch-Site: cross-site | Sec-Fetch-Mode: navigate | Sec-Fetch-Dest: document",
            OWN,
        ),
        (
            "uri: / | Host: evil.example | Sec-Fetch-Site: cross-site | Sec-Fetch-Mode: navigate | Sec-Fetch-Dest: document",
            name,
        ),
        (
            "uri: / | Host: localhost:9000 | Origin: http://evil.example | Sec-Fetch-Mode: navigate | Sec-Fetch-Dest: document",
            origin,
        ),
        (
            "uri: / | Host: localhost:9000 | Sec-Fetch-Site: cross-site | Sec-Fetch-Mode: navigate | Sec-Fetch-Dest: iframe",
            site,
        ),
        ("uri: / | Host: localhost:9000 | Sec-Fetch-Site: cross-site | Sec-Fetch-Mode: no-cors", site),
        (
            "Host: localhost:9000 | Sec-Fetch-Site: cross-site | Sec-Fetch-Mode: navigate | Sec-Fetch-Dest: document",
            site,
        ),
        ("Host: localhost:9000 | Sec-Fetch-Site: NONE", site),
        ("Host: localhost:9000 | Sec-Fetch-Site: none | Sec-Fetch-Site: cross-site", site),
        // With an Origin, that decides.
        ("Host: localhost:9000 | Origin: https://desk.example.com | Sec-Fetch-Site: cross-site", FOREIGN),
        ("Host: localhost:9000 | Origin: http://evil.example | Sec-Fetch-Site: same-origin", origin),
    ];
    for (request, expected) in cases {
        let outcome = outcome(request);
        assert!(outcome.contains(expected), "{request:?}\n  gave {outcome:?}\n  not  {expected:?}");
    }
}

#[test]
fn the_quote_of_a_hostile_header_is_short() {
    let sentence = outcome(&format!("Host: {}", "x".repeat(5000)));
    assert!(sentence.len() < 200, "{sentence}");
}

#[test]
fn origins_are_shown_in_their_canonical_form() {
    for (typed, shown) in [
        ("https://Desk.example.com", "https://desk.example.com"),
        ("http://desk.example.com:80", "http://desk.example.com"),
        ("http://[::1]:5173", "http://[::1]:5173"),
        ("chrome-extension://abcdef", "chrome-extension://abcdef"),
    ] {
        assert_eq!(Origin::parse(typed).unwrap().to_string(), shown);
    }
}
