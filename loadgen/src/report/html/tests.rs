//! The page, read as XML: malformed markup fails the tests, and unescaped text is found.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use roxmltree::{Document, Node, ParsingOptions};

use super::page;
use crate::measure::latencies;
use crate::protocol::Name;
use crate::report::build::latency;
use crate::report::{
    Connections, Continuity, Delivery, Latency, Load, Machine, Reconnect, Report, SCHEMA, Second, Server, Stayed,
};
use crate::scenario::Scenario;

/// Latencies with a tail, in ms.
fn tailed(count: u64) -> Latency {
    let mut histogram: Histogram<u64> = latencies();
    for index in 0..count {
        let rest = (count - index) as f64 / count as f64;
        histogram.record((300_000.0 / rest.powf(0.6)) as u64).expect("within bounds");
    }
    latency(&histogram)
}

fn second(second: u32, deliveries: u64) -> Second {
    Second {
        second,
        published: deliveries / 1000,
        deliveries,
        subscribers: 1000,
        p50_ms: if deliveries > 0 { 0.4 } else { 0.0 },
        p99_ms: if deliveries > 0 { 2.0 } else { 0.0 },
        max_ms: if deliveries > 0 { 9.5 } else { 0.0 },
        server_cpu_cores: (second > 0).then_some(0.31),
        server_rss_bytes: Some(24_000_000),
    }
}

fn report(label: &str, count: u64) -> Report {
    let latency = tailed(count);
    Report {
        schema: SCHEMA,
        tool: "loadgen 0.1.0".to_owned(),
        label: label.to_owned(),
        time: 1_790_000_000,
        machine: Machine { processor: "A Processor".to_owned(), cores: 2, kernel: "6.12.0".to_owned() },
        command: ["/opt/bin/loadgen", "run", "--label", "it's"].map(str::to_owned).into(),
        target: "ws://127.0.0.1:9000".to_owned(),
        protocol: Name::Tickcast,
        scenario: Scenario { about: "One topic".to_owned(), ..Scenario::default() },
        connections: Connections {
            subscribers: 1000,
            connect_seconds: 0.5,
            connect_rate: 2000.0,
            connect_p50_ms: 3.0,
            connect_p99_ms: 9.0,
            ..Connections::default()
        },
        delivery: Delivery {
            seconds: 10.0,
            published_per_second: 100.0,
            deliveries_per_second: count as f64 / 10.0,
            bytes_per_second: count as f64 * 18.0,
            frame_bytes: 180.0,
            held: Some(1.0),
            reach: 1.0,
            frames_per_read: 1.01,
            ..Delivery::default()
        },
        corrected: latency.clone(),
        raw: latency,
        continuity: Continuity { verified: true, delivered: count, ..Continuity::default() },
        server: Some(Server {
            pid: 77,
            cores: "0-1".to_owned(),
            cpu_ns_per_delivery: 3100.0,
            cpu_cores: 0.31,
            rss_before_bytes: 20_000_000,
            rss_bytes: 24_000_000,
            rss_bytes_per_connection: 4000.0,
        }),
        load: Load {
            threads: 1,
            cpu_ns_per_delivery: 900.0,
            cpu_part: 0.09,
            rss_bytes_per_connection: 600.0,
            bottleneck: None,
        },
        seconds: (0..12).map(|at| second(at, if at < 11 { count / 11 } else { 0 })).collect(),
        ended_early: None,
    }
}

/// Reads a page. Fails if it is not XML, or refers to anything outside itself.
fn read(text: &str) -> Document<'_> {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).unwrap_or_else(|error| panic!("{error}:\n{text}"));
    for node in document.descendants().filter(Node::is_element) {
        let name = node.tag_name().name();
        assert!(!["script", "link", "img", "iframe", "image", "use"].contains(&name), "<{name}>");
        for attribute in node.attributes() {
            let (key, value) = (attribute.name(), attribute.value());
            assert!(!["src", "href", "style"].contains(&key) && !key.starts_with("on"), "{name} {key}={value}");
            let numbers = ["d", "x", "y", "cx", "cy", "width", "height", "viewBox"].contains(&key);
            assert!(!numbers || !value.contains("NaN") && !value.contains("inf"), "{name} {key}={value}");
        }
    }
    document
}

fn text_of(document: &Document<'_>) -> String {
    document
        .descendants()
        .filter(|node| !in_style(*node))
        .filter_map(|node| node.text().filter(|_| node.is_text()))
        .collect()
}

fn in_style(node: Node<'_, '_>) -> bool {
    node.parent().is_some_and(|parent| parent.has_tag_name(("http://www.w3.org/1999/xhtml", "style")))
}

/// The plots that a wide screen shows, by their labels.
fn plots<'a>(document: &'a Document<'_>) -> Vec<(&'a str, Node<'a, 'a>)> {
    let svgs = document.descendants().filter(|node| node.attribute("role") == Some("img"));
    let wide = svgs.filter(|svg| svg.attribute("class") != Some("plot narrow"));
    wide.map(|svg| (svg.attribute("aria-label").expect("it has a label"), svg)).collect()
}

fn curves(plot: Node<'_, '_>) -> usize {
    plot.descendants().filter(|node| node.attribute("class").is_some_and(|class| class.starts_with("curve "))).count()
}

#[test]
fn one_report_is_shown_with_all_its_plots() {
    let report = report("steady", 1_000_000);
    let text = page("steady", std::slice::from_ref(&report));
    let document = read(&text);
    let shown: Vec<_> =
        plots(&document).iter().map(|(about, plot)| (about.split('.').next().unwrap(), curves(*plot))).collect();
    let expected = [
        ("Latency by percentile", 2),
        ("Deliveries per second: highest 90909 deliveries/s", 1),
        ("Latency per second: highest 9", 3),
        ("Server CPU: highest 0", 1),
        ("Server memory: highest 24", 1),
    ];
    assert_eq!(shown, expected);
    let said = text_of(&document);
    for word in [
        "One topic.",
        "Every stream was whole",
        "99.999",
        "3100 ns",
        "A Processor, 2 cores",
        "loadgen run --label 'it'\\''s'",
        "[subscribers]\ncount = 1000",
        "Mon, 21 Sep 2026 14:13:20 GMT",
    ] {
        assert!(said.contains(word), "{word:?} is missing in {said}");
    }
    assert_eq!(text, page("steady", &[report]), "the same report gives the same page");
}

#[test]
fn text_from_outside_stays_text() {
    let evil = "<script>alert('x')</script>\"&\u{1b}[31m\0";
    let mut report = report(evil, 1000);
    report.target = evil.to_owned();
    report.ended_early = Some(evil.to_owned());
    report.load.bottleneck = Some(evil.to_owned());
    report.scenario.about = evil.to_owned();
    report.machine.processor = evil.to_owned();
    report.command = vec![evil.to_owned(), evil.to_owned()];
    report.connections.ended = BTreeMap::from([(evil.to_owned(), 3)]);
    report.connections.failed = report.connections.ended.clone();
    report.connections.refused = report.connections.ended.clone();
    report.continuity.lost = 1;
    report.continuity.findings = vec![evil.to_owned()];
    for reports in [vec![report.clone()], vec![report.clone(), report]] {
        let text = page(evil, &reports);
        assert!(!text.contains("<script"), "{text}");
        assert!(!text.contains(['\0', '\u{1b}']));
        let said = text_of(&read(&text));
        let shown = said.matches("<script>alert('x')</script>\"&\u{fffd}[31m\u{fffd}").count();
        assert!(shown >= 10, "only {shown} times: {said}");
    }
}

#[test]
fn a_broken_stream_is_reported_first() {
    let mut report = report("broken", 1000);
    report.continuity.lost = 12;
    report.continuity.corrupted = 1;
    report.continuity.findings = vec!["t.1: 12 updates lost silently at seq 9, subscriber 3".to_owned()];
    let text = page("broken", &[report]);
    let said = text_of(&read(&text));
    assert!(said.contains("✗ Not every stream was whole: 12 lost silently, 1 corrupted."), "{said}");
    assert!(said.contains("12 updates lost silently at seq 9, subscriber 3"), "{said}");
    assert!(!said.contains("✓"), "{said}");
}

#[test]
fn runs_in_which_hardly_anything_happened_are_shown_too() {
    let mut nothing = report("nothing", 0);
    nothing.seconds.clear();
    nothing.server = None;
    nothing.delivery.held = None;
    let mut silent = report("silent", 0);
    silent.seconds = (0..3).map(|at| second(at, 0)).collect();
    let mut short = report("one second", 1);
    short.seconds = vec![second(0, 1)];
    let same = {
        let mut all = report("all the same", 5000);
        let mut histogram = latencies();
        histogram.record_n(500_000, 5000).expect("within bounds");
        (all.corrected, all.raw) = (latency(&histogram), latency(&histogram));
        all
    };
    let mut stormy = report("storm", 5000);
    let stayed = Some(Stayed { before: 100, before_p99_ms: 1.5, during: 50, during_p99_ms: 2.5 });
    stormy.connections.reconnect = Some(Reconnect { count: 500, p50_ms: 20.0, p99_ms: 90.0, max_ms: 95.0, stayed });
    stormy.connections.tls.insert("TLS 1.3, X25519, full".to_owned(), 1000);
    stormy.seconds[4].subscribers = 500;
    let cases = [
        (nothing, vec!["Nothing was delivered.", "before its first second"]),
        (silent, vec!["! Nothing was delivered.", "there is no latency to show"]),
        (short, vec!["Every stream was whole"]),
        (same, vec!["0.50"]),
        (stormy, vec!["the last was back after", "Subscribers", "1000 × TLS 1.3, X25519, full", "2.50 ms"]),
    ];
    for (report, words) in cases {
        let text = page(&report.label, std::slice::from_ref(&report));
        let document = read(&text);
        let said = text_of(&document);
        words.iter().for_each(|word| assert!(said.contains(word), "{}: {word:?} is missing in {said}", report.label));
        let several = page("beside another", &[report.clone(), super::tests::report("other", 1000)]);
        read(&several);
    }
    read(&page("none", &[]));
}

#[test]
fn several_reports_share_their_plots_and_tables() {
    let reports = [report("tickcast", 100_000), report("nats", 50_000), report("a third", 0)];
    let text = page("compared", &reports);
    let document = read(&text);
    let plots = plots(&document);
    assert_eq!(curves(plots[0].1), 2, "the third has no latencies");
    assert_eq!(curves(plots[1].1), 3);
    assert!(plots[0].0.contains("tickcast: p50") && plots[0].0.contains("nats: p50"), "{}", plots[0].0);
    let styles: Vec<_> = plots[1].1.descendants().filter_map(|node| node.attribute("class")).collect();
    for style in ["curve c0 d0", "curve c1 d1", "curve c2 d2"] {
        assert!(styles.contains(&style), "{style} of {styles:?}");
    }
    let said = text_of(&document);
    assert_eq!(said.matches("[subscribers]").count(), 1, "the same scenario is shown once");
    let mut other = reports.to_vec();
    other[1].scenario.seconds = 3.0;
    assert!(text_of(&read(&page("compared", &other))).contains("One topic."), "the common description is still shown");
    assert_eq!(text_of(&read(&page("compared", &other))).matches("[subscribers]").count(), 2);
}

#[test]
fn a_long_run_does_not_make_a_long_page() {
    let mut report = report("soak", 1_000_000);
    report.seconds = (0..86_400).map(|at| second(at, 1000)).collect();
    let text = page("soak", &[report]);
    let said = text_of(&read(&text));
    assert!(said.contains("Each point stands for 288 seconds"), "{said}");
    assert!(said.contains("h since publishing began"), "{said}");
    assert!(text.len() < 120_000, "{} bytes", text.len());
}
