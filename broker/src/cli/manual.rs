//! What `--help` says beside the commands and the settings, laid out as in a manual page.

pub(super) const PROGRAM: &str = "\
    Tickcast takes updates from producers and sends each one to every client that
    subscribed to its topic. A client first gets a topic's image, then every change,
    and is told when it has missed some. Everything is kept in memory. Without a
    command it runs the broker, as `tickcast serve` does.";

pub(super) const SERVE: &str = "\
    Runs the broker until SIGINT or SIGTERM: then it says goaway to its clients, waits
    up to drain_ms for them to leave, and ends. A second signal ends it at once.";

pub(super) const DEMO: &str = "\
    Runs the broker as `tickcast serve` does, with simulated stocks, football, chat and
    servers coming in. Open its listen address in a browser to look at them.";

pub(super) const CONFIG: &str = "\
    Prints the settings that the broker would run with, and ends. What it prints is
    itself a configuration file. A setting that is wrong is named instead.";

pub(super) const HEALTH: &str = "\
    Asks /readyz of the broker at admin_listen, and ends: with exit status 0 where the
    broker takes connections, with 1 where it does not or nobody answers.";

/// What follows the options.
pub(super) const REST: &str = "\
ENVIRONMENT
    TICKCAST_CONFIG       the file with settings, where --config does not name one
    TICKCAST_<SETTING>    a setting, such as TICKCAST_RETAIN_UPDATES=5000; lists have commas

    Flags count before the environment, the environment before the file, the file before
    the default. Sizes may be written 64KiB, 8MiB or 1GiB.

FILES
    There is no file that is read without being named. --config FILE reads a TOML file of
    settings (retain_updates = 5000) and [[topics]] tables, which change settings for the
    topics of a pattern. The systemd unit uses /etc/tickcast/tickcast.toml.

EXIT STATUS
    0     it ended because a signal said so, or printed what was asked for
    1     it could not start, or health: the broker takes no connections
    2     a flag or a setting is wrong; nothing was started
    70    a part of the broker failed, and with it the process ended

EXAMPLES
    tickcast demo
    tickcast serve --listen 127.0.0.1:9100 --admin-listen 127.0.0.1:9101
    tickcast config --config tickcast.toml
    tickcast health --admin-listen 127.0.0.1:9001";
