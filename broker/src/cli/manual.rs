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

pub(super) const JOURNAL: &str = "\
    Says what is in a journal, copies it, or makes one of a copy, and exits. The
    directory is the one that the broker uses: --journal-dir, TICKCAST_JOURNAL_DIR, or
    journal_dir in the configuration file. Stop the broker first: while it runs, it has
    the journal open. Only restore changes the directory, and only an empty one.";

pub(super) const JOURNAL_INSPECT: &str = "\
    Prints the generation, how the last run ended and what the next start would do, the
    segments of the log, its commands and sessions, the checkpoints, and how many topics
    and retained updates a start would serve. With --json for programs.";

pub(super) const JOURNAL_VERIFY: &str = "\
    Reads every record and every checkpoint, and applies them as a start would, with the
    limits of the configuration. Prints what is damaged and what a start would do. Exits
    with status 0 if a start serves everything, and with 1 if something is damaged,
    missing or in doubt, also if a start can make up for it. With FILE it reads a backup
    instead.";

pub(super) const JOURNAL_BACKUP: &str = "\
    Writes everything that a start would serve into one new file, syncs it, and reads it
    again. An existing file is never overwritten.";

pub(super) const JOURNAL_RESTORE: &str = "\
    Makes a journal of a backup, in a directory that is missing or empty. It begins a new
    generation: clients have seen updates that the backup may not have, so they are told
    to begin anew (reset).";

pub(super) const JOURNAL_EXPORT: &str = "\
    Prints what was published, a line of JSON for each update, in the order of the log,
    as `feed-sim replay ndjson` reads it: topic, kind, data, source, source_seq,
    source_ts, and due_us, microseconds since the first update of the log that is
    printed. What is no longer in the log comes first, from the oldest checkpoint, with
    due_us 0: of a topic with a state one line with that, of others the updates that
    were retained. Updates that were refused, and duplicates, are left out, and so are
    the ends of topics, for which there is no line.";

pub(super) const JOURNAL_SETTINGS: &str = "\
    Prints the settings that decide what becomes of a publish, as the log has them and
    as the configuration has them. With journal = \"local\", the broker writes those of the
    configuration into the log at its next start; they count from there on. With
    journal = \"nats\", --apply writes them into the log beside running brokers; they
    count on all of its brokers from there on.";

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
          good answer; journal: something is damaged, or could not be done
    2     a flag or a setting is wrong; nothing was started
    70    a part of the broker failed, so the whole process ended

EXAMPLES
    tickcast demo
    tickcast demo --secure
    tickcast serve --listen 127.0.0.1:9100 --admin-listen 127.0.0.1:9101
    tickcast config --config tickcast.toml
    tickcast health --admin-listen 127.0.0.1:9001
    tickcast journal inspect --journal-dir /var/lib/tickcast/journal
    tickcast journal backup --config tickcast.toml /backup/tickcast.journal
    tickcast health --url https://md.example.com/ --ca ca.pem";
