//! The parts of `--help` other than the commands and the settings, laid out as in a manual page.

pub(super) const PROGRAM: &str = "\
    Tickcast takes updates from producers and sends each one to every client that
    subscribed to its topic. A client first gets a topic's image, then every change,
    and learns exactly which updates it missed. Everything is kept in memory, and with
    a journal (--journal) on disk as well, for the next start. Without a command it
    runs the broker, as `tickcast serve` does.";

pub(super) const SERVE: &str = "\
    Runs the broker until SIGINT or SIGTERM: then it sends goaway to its clients, waits
    up to drain_ms for them to leave, and exits. A second signal makes it exit at once.
    SIGHUP makes it read its settings again: those that `tickcast config` calls
    reloadable count at once, without closing a connection.";

pub(super) const DEMO: &str = "\
    Runs the broker as `tickcast serve` does, with simulated feeds: stocks, football,
    chat and servers. Open its listen address in a browser to see them. With --secure
    it makes a key, a certificate authority, a certificate and three users, and prints
    where the page is, which asks for a token, and three commands that differ in what
    they may do.";

pub(super) const CONFIG: &str = "\
    Prints the settings that the broker would run with, and exits. The output is itself
    a configuration file. If a setting is wrong, it prints an error that names it.";

pub(super) const HEALTH: &str = "\
    Requests /readyz from the broker at admin_listen, and exits: with status 0 if the
    broker takes connections, with 1 if it does not or nothing answers. With --url it
    asks that listener instead, for the path in the URL or for the live page, which
    needs no token; over https its certificate has to be good and to be for the URL's
    host. Status 0 then means an answer with HTTP status 200.";

/// The sections after the options.
pub(super) const REST: &str = "\
ENVIRONMENT
    TICKCAST_CONFIG       the file with settings, unless --config names one
    TICKCAST_<SETTING>    a setting, such as TICKCAST_RETAIN_UPDATES=5000; commas separate
                          the items of a list

    A flag overrides the environment, the environment overrides the file, and the file
    overrides the default. Sizes may be written 64KiB, 8MiB or 1GiB.

FILES
    No file is read unless it is named. --config FILE reads a TOML file of settings
    (retain_updates = 5000) and [[topics]] tables, which change settings for the topics
    that match a pattern. The systemd unit uses /etc/tickcast/tickcast.toml.

EXIT STATUS
    0     stopped by a signal, or printed what was asked for
    1     could not start; health: the broker takes no connections, or there is no
          good answer
    2     a flag or a setting is wrong; nothing was started
    70    a part of the broker failed, so the whole process ended

EXAMPLES
    tickcast demo
    tickcast demo --secure
    tickcast serve --listen 127.0.0.1:9100 --admin-listen 127.0.0.1:9101
    tickcast config --config tickcast.toml
    tickcast health --admin-listen 127.0.0.1:9001
    tickcast health --url https://md.example.com/ --ca ca.pem";
