"""deploy/kubernetes: one broker, with or without a journal on a volume."""

import pathlib
import tomllib
import unittest

import yaml
from manifests import Manifests, ManifestTests
from support import DEPLOY, uncommented


class KubernetesTest(ManifestTests, unittest.TestCase):
    MANIFESTS = Manifests(DEPLOY / "kubernetes")

    def test_the_optional_journal_is_in_a_volume(self):
        pod = yaml.safe_load(uncommented((self.MANIFESTS.folder / "deployment.yaml").read_text()))["spec"]["template"]["spec"]
        config = tomllib.loads(yaml.safe_load(uncommented((self.MANIFESTS.folder / "configmap.yaml").read_text()))["data"]["tickcast.toml"])
        mounts = {mount["mountPath"]: mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
        claims = {volume["name"]: volume.get("persistentVolumeClaim") for volume in pod["volumes"]}
        claim = claims[mounts[str(pathlib.PurePosixPath(config["journal_dir"]).parent)]]
        # README.md has the claim itself, and what else a journal takes.
        readme = (DEPLOY / "README.md").read_text()
        kinds = [yaml.safe_load(block.split("```")[0]) for block in readme.split("```yaml\n")[1:]]
        self.assertEqual([each["metadata"]["name"] for each in kinds if each["kind"] == "PersistentVolumeClaim"], [claim["claimName"]])
