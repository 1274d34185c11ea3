//! The file of a comparison: its servers, how each is started and which protocol it speaks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;

use crate::floor;
use crate::protocol::{Name, Protocol, Templates};

/// Servers to compare.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
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
    /// The command that starts it in the foreground; `{port}` is filled in. Not for the floor.
    #[serde(default)]
    pub(crate) command: Vec<String>,
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    /// The command that prints its version.
    #[serde(default)]
    pub(crate) version: Vec<String>,
    #[serde(default)]
    pub(crate) protocol: Kind,
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
        Ok(())
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
        ];
        for (text, part) in cases {
            let error = format!("{:#}", File::parse(text).expect_err(text));
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
