//! The file of a comparison: its servers, how each is started and which protocol it speaks.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;

use crate::access::Access;
use crate::floor;
use crate::protocol::{Name, Protocol, Templates};

/// Stands for the folder of a run, which is there while the servers are, and nobody else may read.
const RUN: &str = "{run}";

/// Servers to compare.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    /// The command that runs once, before all servers, for instance to make certificates.
    #[serde(default)]
    pub(crate) prepare: Vec<String>,
    pub(crate) server: Vec<Server>,
    /// The folder of the file: commands are relative to it.
    #[serde(skip)]
    pub(crate) folder: PathBuf,
}

/// A server.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Server {
    pub(crate) name: String,
    /// The command that starts it in the foreground; `{port}` is filled in, and `{run}` as everywhere. Not for the floor.
    #[serde(default)]
    pub(crate) command: Vec<String>,
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    /// The command that prints its version.
    #[serde(default)]
    pub(crate) version: Vec<String>,
    #[serde(default)]
    pub(crate) protocol: Kind,
    /// Whether it speaks TLS.
    #[serde(default)]
    pub(crate) tls: bool,
    /// Tokens, certificates, and what a TLS handshake offers: the options of `loadgen run`.
    #[serde(default)]
    pub(crate) access: Access,
    /// The path, if it is not the protocol's usual one.
    #[serde(default)]
    pub(crate) path: Option<String>,
    #[serde(default)]
    pub(crate) templates: Templates,
    /// For the floor: the number of frames that share a write.
    #[serde(default)]
    pub(crate) frames_per_write: Option<u32>,
    /// If this is a server's second entry, with payloads that make its frames as long as the first server's: the
    /// server's name.
    #[serde(skip)]
    pub(crate) equal_frames_of: Option<String>,
}

/// The protocol of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    #[default]
    Tickcast,
    Nats,
    Mqtt,
    Centrifugo,
    Generic,
    /// The physical limit, which is this program itself.
    Floor,
}

impl Server {
    /// The floor with this many frames in a write.
    pub(crate) fn floor(frames_per_write: u32) -> Self {
        let name = if frames_per_write == 1 { "floor".to_owned() } else { format!("floor-{frames_per_write}") };
        Self { name, protocol: Kind::Floor, frames_per_write: Some(frames_per_write), ..Self::default() }
    }

    /// A second entry of this server, with frames as long as those of the comparison's first server.
    pub(crate) fn with_equal_frames(&self) -> Self {
        let equal_frames_of = Some(self.name.clone());
        Self { name: format!("{}, equal frames", self.name), equal_frames_of, version: Vec::new(), ..self.clone() }
    }

    pub(crate) fn is_floor(&self) -> bool {
        self.protocol == Kind::Floor
    }

    pub(crate) fn protocol(&self) -> (Name, Protocol) {
        match self.protocol {
            Kind::Tickcast => (Name::Tickcast, Protocol::Tickcast),
            Kind::Nats => (Name::Nats, Protocol::Nats),
            Kind::Mqtt => (Name::Mqtt, Protocol::Mqtt),
            Kind::Centrifugo => (Name::Centrifugo, Protocol::Centrifugo),
            Kind::Generic => (Name::Generic, Protocol::Generic(self.templates.clone())),
            Kind::Floor => (Name::Generic, Protocol::Generic(floor::templates())),
        }
    }

    fn check(&self) -> anyhow::Result<()> {
        ensure!(!self.name.is_empty(), "a [[server]] has no name");
        ensure!(
            !self.is_floor() || self.command.is_empty(),
            "server {:?}: the floor needs no command, it is this program",
            self.name
        );
        ensure!(self.is_floor() || !self.command.is_empty(), "server {:?} has no command", self.name);
        let templates = self.templates != Templates::default();
        ensure!(
            !templates || self.protocol == Kind::Generic,
            "server {:?}: templates belong to protocol = \"generic\"",
            self.name
        );
        ensure!(
            self.frames_per_write.is_none_or(|frames| frames >= 1 && self.is_floor()),
            "server {:?}: frames_per_write, at least 1, belongs to protocol = \"floor\"",
            self.name
        );
        let Access { token_file, token, ca, client_cert, client_key, key_exchange, full_handshakes } = &self.access;
        let about_tls = ca.is_some() || client_cert.is_some() || key_exchange.is_some() || *full_handshakes;
        ensure!(
            self.tls || !about_tls,
            "server {:?}: access says something about TLS, so tls = true is needed",
            self.name
        );
        ensure!(
            client_cert.is_some() == client_key.is_some() && (token.is_none() || token_file.is_none()),
            "server {:?}: access needs client_cert and client_key together, and token or token_file, not both",
            self.name
        );
        Ok(())
    }

    /// Fills in the folder of this run, and completes the paths.
    fn fill(&mut self, folder: &Path, run: &str) {
        let fill = |text: &mut String| *text = text.replace(RUN, run);
        self.command.iter_mut().chain(self.env.values_mut()).for_each(fill);
        let access = &mut self.access;
        let paths = [&mut access.token_file, &mut access.ca, &mut access.client_cert, &mut access.client_key];
        for path in paths.into_iter().flatten() {
            *path = folder.join(path.to_string_lossy().replace(RUN, run));
        }
    }

    /// The URL of this server at this address.
    pub(crate) fn url(&self, address: SocketAddr) -> String {
        let scheme = if self.tls { "wss" } else { "ws" };
        format!("{scheme}://{address}{}", self.path.as_deref().unwrap_or_default())
    }
}

impl File {
    /// Reads a file. An error names the line and the key.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("compare file {}", path.display()))?;
        let mut file = Self::parse(&text).with_context(|| format!("compare file {}", path.display()))?;
        let folder = path.canonicalize()?;
        file.folder = folder.parent().map(Path::to_owned).unwrap_or_default();
        Ok(file)
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let file: Self = toml::from_str(text)?;
        ensure!(!file.server.is_empty(), "there is no [[server]]");
        for (index, server) in file.server.iter().enumerate() {
            server.check()?;
            let twice = file.server[..index].iter().any(|other| other.name == server.name);
            ensure!(!twice, "two servers have the name {:?}", server.name);
        }
        Ok(file)
    }

    /// Fills in the folder of this run wherever `{run}` stands.
    pub(crate) fn fill(&mut self, run: &Path) {
        let run = run.to_string_lossy();
        self.prepare.iter_mut().for_each(|part| *part = part.replace(RUN, &run));
        self.server.iter_mut().for_each(|server| server.fill(&self.folder, &run));
    }

    /// The servers of these names, in this order; all of them if no name is given.
    pub(crate) fn choose(&self, names: &[String]) -> anyhow::Result<Vec<Server>> {
        if names.is_empty() {
            return Ok(self.server.clone());
        }
        let find = |name: &String| match self.server.iter().find(|server| server.name == *name) {
            Some(server) => Ok(server.clone()),
            None => {
                let known: Vec<&str> = self.server.iter().map(|server| server.name.as_str()).collect();
                bail!("there is no server {name:?} in the file: {}", known.join(", "))
            }
        };
        names.iter().map(find).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_of_a_run_is_filled_in() {
        let text = "prepare = [\"make\", \"{run}\"]\n[[server]]\nname = \"a\"\ncommand = [\"x\", \"{run}/x\"]\n\
                    env = { A = \"{run}\" }\ntls = true\n[server.access]\nca = \"{run}/ca.pem\"\ntoken_file = \"mine\"\n\
                    key_exchange = \"x25519mlkem768\"\nfull_handshakes = true";
        let mut file = File::parse(text).expect("it is right");
        file.folder = "/here".into();
        file.fill(Path::new("/tmp/r"));
        let server = &file.server[0];
        assert_eq!(
            (&file.prepare[1], &server.command[1], &server.env["A"]),
            (&"/tmp/r".into(), &"/tmp/r/x".into(), &"/tmp/r".into())
        );
        let path = |path: &Option<PathBuf>| path.clone().expect("it is given");
        assert_eq!(path(&server.access.ca), Path::new("/tmp/r/ca.pem"));
        assert_eq!(path(&server.access.token_file), Path::new("/here/mine"));
        assert_eq!(server.url(([127, 0, 0, 1], 7).into()), "wss://127.0.0.1:7");
    }

    #[test]
    fn a_file_is_read_and_errors_name_what_is_wrong() {
        let right = "[[server]]\nname = \"a\"\ncommand = [\"x\", \"{port}\"]\nprotocol = \"nats\"\n[[server]]\nname = \"floor\"\nprotocol = \"floor\"\nframes_per_write = 16";
        let file = File::parse(right).expect("it is right");
        assert!(file.server[1].is_floor() && file.choose(&["floor".to_owned()]).expect("it is there").len() == 1);
        let said = file.choose(&["b".to_owned()]).expect_err("none of that name").to_string();
        assert!(said.contains("\"b\"") && said.contains("a, floor"), "{said}");
        let cases = [
            ("", "server"),
            ("[[server]]\nname = \"a\"", "\"a\" has no command"),
            ("[[server]]\nname = \"a\"\ncommand = [\"x\"]\nprotocol = \"smtp\"", "smtp"),
            ("[[server]]\nname = \"a\"\ncommand = [\"x\"]\ncolour = 1", "colour"),
            ("[[server]]\nname = \"a\"\ncommand = [\"x\"]\n[server.templates]\nsubscribe = \"x\"", "templates"),
            ("[[server]]\nname = \"a\"\ncommand = [\"x\"]\n[[server]]\nname = \"a\"\ncommand = [\"x\"]", "two servers"),
            ("[[server]]\nname = \"f\"\ncommand = [\"x\"]\nprotocol = \"floor\"", "needs no command"),
            ("[[server]]\nname = \"a\"\ncommand = [\"x\"]\n[server.access]\nfull_handshakes = true", "tls = true"),
            ("[[server]]\nname = \"a\"\ncommand = [\"x\"]\n[server.access]\nsecret = \"x\"", "secret"),
            (
                "[[server]]\nname = \"a\"\ncommand = [\"x\"]\n[server.access]\ntoken = \"x\"\ntoken_file = \"x\"",
                "not both",
            ),
        ];
        for (text, part) in cases {
            let error = format!("{:#}", File::parse(text).expect_err(text));
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
