//! `tickcast config`: every setting with its meaning, unit, range, default, value and the value's source. The output is
//! itself a configuration file.

use std::fmt::Write;

use super::raw::Source;
use super::resolve::Loaded;
use super::settings::SETTINGS;
use super::value::Allowed;

/// The whole text.
pub fn show(loaded: &Loaded) -> String {
    let mut out = String::from(
        "# Each setting is a flag (--retain-updates), an environment variable (TICKCAST_RETAIN_UPDATES) or a line of a file\n\
         # (--config FILE). A flag overrides the environment, that the file, and that the default.\n",
    );
    let mut group = "";
    for (setting, value) in SETTINGS.iter().zip(loaded.config.toml_values()) {
        if setting.group != group {
            group = setting.group;
            put(&mut out, format_args!("\n# ---- {group}\n"));
        }
        put(&mut out, format_args!("\n# {}\n# {}.\n# ", setting.meaning, setting.applies));
        match setting.allowed {
            Allowed::Any => {}
            Allowed::Number(min, max) | Allowed::Bytes(min, max) => {
                put(&mut out, format_args!("{}, {min} to {max}; ", setting.unit));
            }
        }
        let default = if setting.default.is_empty() { "none" } else { setting.default };
        match loaded.raw.source(setting.name) {
            Source::Default => put(&mut out, format_args!("{default} (default)\n")),
            source => put(&mut out, format_args!("default {default}; this is {source}\n")),
        }
        put(&mut out, format_args!("{} = {value}\n", setting.name));
    }
    show_topics(&mut out, loaded);
    super::roles::show(&mut out, &loaded.config);
    out
}

fn show_topics(out: &mut String, loaded: &Loaded) {
    out.push_str(
        "\n# ---- Settings for some topics: the first [[topics]] table whose pattern matches a topic counts. Each has a pattern\n\
         # (or a topic's name) and any of kind (event, state, patch), retain_updates, retain_bytes, retain_ms. Reloadable,\n\
         # area topics.\n",
    );
    for rule in &loaded.config.topics {
        put(out, format_args!("\n[[topics]]\npattern = \"{}\"\n", rule.pattern.as_str()));
        if let Some(kind) = rule.kind {
            put(out, format_args!("kind = \"{}\"\n", kind.as_str()));
        }
        let numbers = [
            ("retain_updates", rule.retain_updates),
            ("retain_bytes", rule.retain_bytes),
            ("retain_ms", rule.retain_ms),
        ];
        for (name, number) in numbers {
            if let Some(number) = number {
                put(out, format_args!("{name} = {number}\n"));
            }
        }
    }
}

pub(super) fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = out.write_fmt(text);
}
