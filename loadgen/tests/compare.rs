//! `compare`, `sweep` and `run --floor` as a user runs them. The servers are the floor itself, once as a server like
//! any other: started by a command, with a protocol of templates.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const LOADGEN: &str = env!("CARGO_BIN_EXE_loadgen");
const SMALL: [&str; 8] = ["-n", "5", "--seconds", "0.5", "--rate", "50", "--quiet", "--seed=7"];

/// A folder of this test's own.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    // Removes the folder of an earlier run, if there was one.
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder for the test");
    folder
}

fn loadgen(arguments: &[&str]) -> Output {
    Command::new(LOADGEN).args(arguments).output().expect("loadgen starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn compare_file(folder: &Path, more: &str) -> String {
    let path = folder.join("servers.toml");
    let file = format!(
        "[[server]]\nname = \"one's own\"\ncommand = ['{LOADGEN}', 'floor', '--listen', '127.0.0.1:{{port}}']\n\
         version = ['{LOADGEN}', '--version']\nprotocol = \"generic\"\n[server.templates]\nsubscribe = \"S {{topics}}\"\n\
         publish = \"{{topic}}\\n{{payload}}\"\n{more}"
    );
    std::fs::write(&path, file).expect("a file for the test");
    path.to_str().expect("a path in UTF-8").to_owned()
}

#[test]
fn servers_are_started_measured_in_turns_and_reported() {
    let folder = folder("compare");
    let file = compare_file(&folder, "");
    let out = folder.join("out");
    let scenario = folder.join("short.toml");
    let short = "about = \"short\"\nwarm_up_seconds = 0.1\n[subscribers]\ntopics = 5\neach = 2\n";
    std::fs::write(&scenario, short).expect("a file for the test");
    let scenarios = format!("steady,{}", scenario.display());
    let mut arguments = vec!["compare", &file, "--scenarios", &scenarios, "--repeats", "2", "--floors", "1,16"];
    arguments.extend(["--server-cores", "0", "--cores", "0", "--out", out.to_str().expect("a path in UTF-8")]);
    arguments.extend(SMALL);
    let output = loadgen(&arguments);
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", text(&output.stderr));
    for part in ["one's own: loadgen ", "## steady", "## short", "× floor", "| floor-16"] {
        assert!(said.contains(part), "no {part:?} in\n{said}");
    }
    assert_eq!(std::fs::read_to_string(out.join("tables.md")).expect("the tables"), said);
    for scenario in ["steady", "short"] {
        let json = std::fs::read_to_string(out.join(format!("{scenario}.json"))).expect("the reports");
        let reports: Vec<serde_json::Value> = serde_json::from_str(&json).expect("reports as JSON");
        assert_eq!(reports.len(), 6, "three servers, two rounds");
        for report in &reports {
            assert_eq!((&report["delivery"]["reach"], &report["continuity"]["lost"]), (&1.0.into(), &0.into()));
            assert!(report["server"]["cpu_ns_per_delivery"].is_f64(), "its process was watched: {}", report["server"]);
        }
        // On a busy machine one of the short windows may have none.
        let watched = |report: &&serde_json::Value| report["server"]["cpu_ns_per_delivery"].as_f64() > Some(0.0);
        assert!(reports.iter().filter(watched).count() >= 3, "{json}");
        // The floors send frames as long as those of the other server.
        let frame = |report: &serde_json::Value| report["delivery"]["frame_bytes"].as_f64().expect("a number");
        assert!(reports.iter().all(|other| (frame(other) - frame(&reports[0])).abs() < 4.0));
        let page = std::fs::read_to_string(out.join(format!("{scenario}.html"))).expect("the page");
        assert!(page.contains("one's own") || page.contains("one&#39;s own") || page.contains("one&apos;s own"));
    }
}

#[test]
fn frames_are_made_equally_long_on_request() {
    let folder = folder("equal");
    let more = format!(
        "[[server]]\nname = \"wordy\"\ncommand = ['{LOADGEN}', 'floor', '--listen', '127.0.0.1:{{port}}']\n\
         protocol = \"generic\"\n[server.templates]\nsubscribe = \"S {{topics}}\"\n\
         publish = \"{{topic}}\\na dozen and one more: {{payload}}\"\n"
    );
    let file = compare_file(&folder, &more);
    let out = folder.join("out");
    let mut arguments = vec!["compare", &file, "--scenarios", "steady", "--repeats", "2", "--floors", "0"];
    arguments.extend([
        "--servers",
        "wordy,one's own",
        "--equal-frames",
        "--out",
        out.to_str().expect("a path in UTF-8"),
    ]);
    arguments.extend(SMALL);
    let output = loadgen(&arguments);
    assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
    let json = std::fs::read_to_string(out.join("steady.json")).expect("the reports");
    let reports: Vec<serde_json::Value> = serde_json::from_str(&json).expect("reports as JSON");
    let frame = |name: &str| {
        let of: Vec<_> = reports.iter().filter(|report| report["label"] == name).collect();
        assert_eq!(of.len(), 2, "{name}: two rounds");
        of[1]["delivery"]["frame_bytes"].as_f64().expect("a number")
    };
    let (wordy, own, equal) = (frame("wordy"), frame("one's own"), frame("one's own, equal frames"));
    assert!(wordy > own + 10.0, "{wordy} and {own}");
    assert!((wordy - equal).abs() < 2.0, "{wordy} and {equal}");
}

#[test]
fn a_server_that_does_not_start_is_reported_and_the_others_are_measured() {
    let folder = folder("broken");
    let more = "[[server]]\nname = \"broken\"\ncommand = [\"sh\", \"-c\", \"echo no licence >&2; exit 3\"]\n\
                [[server]]\nname = \"missing\"\ncommand = [\"./no-such-program\"]\n";
    let file = compare_file(&folder, more);
    let mut arguments = vec!["compare", &file, "--scenarios", "steady", "--repeats", "1"];
    arguments.extend(SMALL);
    let output = loadgen(&arguments);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("broken failed 1 times") && said.contains("no licence"), "{said}");
    assert!(said.contains("missing failed 1 times") && said.contains("no-such-program"), "{said}");
    let measured = said.lines().find(|line| line.starts_with("| one's own")).expect("the other one's row");
    assert!(measured.trim_end().ends_with("| 1    |"), "{measured}");
}

#[test]
fn the_children_of_a_server_are_measured_with_it() {
    let folder = folder("family");
    // The process that was started does nothing but sleep; the child ends with it.
    let shell = format!("setpriv --pdeathsig KILL {LOADGEN} floor --listen 127.0.0.1:{{port}} & exec sleep 600");
    let more = format!(
        "[[server]]\nname = \"parent\"\ncommand = ['sh', '-c', '{shell}']\nprotocol = \"generic\"\n\
         [server.templates]\nsubscribe = \"S {{topics}}\"\npublish = \"{{topic}}\\n{{payload}}\"\n"
    );
    let file = compare_file(&folder, &more);
    let out = folder.join("out");
    let mut arguments = vec!["compare", &file, "--servers", "parent", "--scenarios", "steady", "--repeats", "1"];
    arguments.extend(["--floors", "0", "-n", "5", "--seconds", "3", "--rate", "50", "--quiet"]);
    arguments.extend(["--out", out.to_str().expect("a path in UTF-8")]);
    let output = loadgen(&arguments);
    assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
    let json = std::fs::read_to_string(out.join("steady.json")).expect("the reports");
    let reports: Vec<serde_json::Value> = serde_json::from_str(&json).expect("reports as JSON");
    // Writing to sockets takes some time, while sleeping takes none.
    assert!(reports[0]["server"]["cpu_ns_per_delivery"].as_f64() > Some(0.0), "{}", reports[0]["server"]);
    assert!(reports[0]["connections"]["server_cpu_us"].as_f64() > Some(0.0), "{}", reports[0]["connections"]);
}

#[test]
fn what_servers_need_is_prepared_once_in_a_folder_that_is_removed() {
    let folder = folder("prepared");
    let kept = folder.join("kept");
    // The command notes the folder and its rights, and leaves there what the second server needs.
    let prepare = "test -x \"$LOADGEN\" && echo {run} >> kept && stat -c %a {run} >> kept && echo 16 > {run}/frames";
    let file = compare_file(&folder, "");
    let servers = std::fs::read_to_string(&file).expect("it was just written");
    let own = format!(
        "[[server]]\nname = \"reader\"\n\
         command = ['sh', '-c', 'exec {LOADGEN} floor --listen 127.0.0.1:{{port}} --frames-per-write $(cat $FOLDER/frames)']\n\
         env = {{ FOLDER = \"{{run}}\" }}\nprotocol = \"generic\"\n\
         [server.templates]\nsubscribe = \"S {{topics}}\"\npublish = \"{{topic}}\\n{{payload}}\"\n"
    );
    std::fs::write(&file, format!("prepare = ['sh', '-c', '{prepare}']\n{servers}{own}")).expect("a file for the test");
    let mut arguments = vec!["compare", &file, "--scenarios", "steady", "--repeats", "1", "--floors", "0"];
    arguments.extend(SMALL);
    let output = loadgen(&arguments);
    assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
    let said = std::fs::read_to_string(kept).expect("the command has run");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!((lines.len(), lines[1]), (2, "700"), "once: {said}");
    assert!(!Path::new(lines[0]).exists(), "{} is still there", lines[0]);
    let broken = format!("prepare = ['sh', '-c', 'echo no licence >&2; exit 3']\n{servers}");
    std::fs::write(&file, broken).expect("a file for the test");
    let output = loadgen(&arguments);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("no licence"), "{}", text(&output.stderr));
}

#[test]
fn an_error_in_a_comparison_is_reported_before_anything_starts() {
    let folder = folder("wrong");
    let file = compare_file(&folder, "");
    let cases: [(&[&str], &str); 4] = [
        (&["compare", "/no/such/file.toml"], "/no/such/file.toml"),
        (&["compare", &file, "--servers", "nobody"], "\"nobody\""),
        (&["compare", &file, "--base", "nobody"], "\"nobody\""),
        (&["compare", &file, "--scenarios", "nothing"], "\"nothing\""),
    ];
    for (arguments, part) in cases {
        let output = loadgen(arguments);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(part), "{arguments:?}: {said}");
    }
}

/// A floor that is stopped when dropped.
struct Floor(std::process::Child, String);

impl Floor {
    fn start() -> Self {
        let mut command = Command::new(LOADGEN);
        command.args(["floor", "--listen", "127.0.0.1:0"]).stdout(std::process::Stdio::piped());
        let mut child = command.spawn().expect("the floor starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("its output is a pipe");
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).expect("it says where it is");
        let url = line.trim().strip_prefix("listening at ").expect("its address").to_owned();
        Self(child, url)
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        // It does not end by itself.
        self.0.kill().and_then(|()| self.0.wait()).expect("the floor ends");
    }
}

const TEMPLATES: [&str; 6] = ["--protocol", "generic", "--subscribe", "S {topics}", "--publish", "{topic}\n{payload}"];

#[test]
fn a_sweep_measures_its_grid_and_finds_a_rate_below_a_bound() {
    let floor = Floor::start();
    let mut arguments =
        vec!["sweep", "steady", "--target", &floor.1, "--grid-subscribers", "2,4", "--grid-rates", "20,40"];
    arguments.extend(["--seconds", "0.3", "--quiet"]);
    arguments.extend(TEMPLATES);
    let output = loadgen(&arguments);
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", text(&output.stderr));
    let rows: Vec<&str> = said.lines().filter(|line| line.starts_with("| 2 ") || line.starts_with("| 4 ")).collect();
    assert_eq!(rows.len(), 4, "{said}");
    // If the first rate already crosses the bound, the search ends below that rate.
    let mut arguments = vec!["sweep", "steady", "--target", &floor.1, "-n", "2", "--grid-rates", "0.03"];
    arguments.extend(["--bound-ms", "0.000001", "--seconds", "0.1", "--quiet"]);
    arguments.extend(TEMPLATES);
    let said = text(&loadgen(&arguments).stdout);
    assert!(said.contains("| 0.030 ") && !said.contains("| *"), "nothing keeps a bound of a nanosecond:\n{said}");
}

#[test]
fn a_run_beside_the_floor_reports_its_ratio() {
    let floor = Floor::start();
    let pid = floor.0.id().to_string();
    let mut arguments = vec!["run", "steady", "--target", &floor.1, "--floor", "--repeats", "2", "--server-pid", &pid];
    arguments.extend(SMALL);
    arguments.extend(TEMPLATES);
    let output = loadgen(&arguments);
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", text(&output.stderr));
    assert!(
        said.contains("Relative to the floor: deliveries/s 1.0")
            || said.contains("Relative to the floor: deliveries/s 0.9"),
        "{said}"
    );
    assert!(said.contains("Relative to the floor-16: "), "{said}");
}
