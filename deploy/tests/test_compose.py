"""deploy/compose.yml: docker-compose accepts it, what it mounts exists, and the programs accept its commands."""

import pathlib
import unittest

import yaml
from support import BROKER, DEPLOY, FEED_SIM, ROOT, program, run, uncommented

FILE = DEPLOY / "compose.yml"


class Strict(yaml.SafeLoader):
    """Refuses duplicate keys, as newer versions of Compose do."""

    def construct_mapping(self, node, deep=False):
        # `<<` brings in the keys of another mapping, which own keys override.
        keys = [self.construct_object(key, deep=True) for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        if twice := {key for key in keys if keys.count(key) > 1}:
            raise AssertionError(f"duplicate keys in a mapping, line {node.start_mark.line + 1}: {twice}")
        return super().construct_mapping(node, deep)


COMPOSE = yaml.load(FILE.read_text(), Strict)
SERVICES = COMPOSE["services"]


def yaml_of(path):
    return yaml.safe_load(path.read_text())


class ComposeTest(unittest.TestCase):
    def test_docker_compose_takes_it(self):
        if not program("docker-compose"):
            self.skipTest("docker-compose is not installed")
        code, output = run(program("docker-compose"), "-f", FILE, "config", "--quiet")
        self.assertEqual((code, output), (0, ""))

    def test_what_is_mounted_and_built_is_there(self):
        for name, service in SERVICES.items():
            for volume in service.get("volumes", []):
                source = volume.split(":")[0]
                if source.startswith("."):
                    self.assertTrue((DEPLOY / source).exists(), f"{name}: {source}")
                    self.assertTrue(volume.endswith(":ro"), f"{name}: {volume}")
                else:
                    self.assertIn(source, COMPOSE["volumes"])
        build = SERVICES["broker"]["build"]
        self.assertEqual((DEPLOY / build["context"]).resolve(), ROOT)
        self.assertTrue((ROOT / build["dockerfile"]).is_file())

    def test_ports_are_for_this_machine_only(self):
        for name, service in SERVICES.items():
            for port in service.get("ports", []):
                self.assertTrue(port.startswith("127.0.0.1:"), f"{name}: {port}")

    def test_the_broker_takes_its_settings(self):
        environment = SERVICES["broker"]["environment"] | {"TICKCAST_LISTEN": "0.0.0.0:9000"}
        code, output = run(BROKER, "config", env=environment)
        self.assertEqual(code, 0, output)
        for name in environment:
            self.assertTrue(f"from environment {name}\n" in output, name)
        files = SERVICES["broker"]["ulimits"]["nofile"]["hard"]
        self.assertEqual(files, int(environment["TICKCAST_CONNECTIONS_MAX"]) + 4096 + 512)
        # Other containers address it by its service's name.
        self.assertEqual(environment["TICKCAST_ALLOW_HOST"], "broker")

    def test_the_optional_journal_is_in_a_volume_of_the_brokers_user(self):
        optional = yaml.load(uncommented(FILE.read_text()), Strict)
        broker = optional["services"]["broker"]
        journal_dir = pathlib.PurePosixPath(broker["environment"]["TICKCAST_JOURNAL_DIR"])
        volume, mount = broker["volumes"][0].split(":")
        self.assertIn(volume, optional["volumes"])
        self.assertEqual(str(journal_dir.parent), mount)
        # An empty volume takes its owner from the image's directory.
        self.assertRegex((DEPLOY / "Dockerfile").read_text(), rf"(?m)^COPY --from=build --chown=65532:65532 /\w+ {mount}$")
        code, output = run(BROKER, "config", env=broker["environment"] | {"TICKCAST_LISTEN": "0.0.0.0:9000"})
        self.assertEqual(code, 0, output)
        self.assertIn('journal = "local"', output)

    def test_feed_sim_takes_its_arguments(self):
        command = [FEED_SIM, *SERVICES["feed-sim"]["command"]]
        target = command.index("--to") + 1
        self.assertEqual(command[target], "ws://broker:9000/v1/ws")
        command[target] = "null"
        code, output = run(*command, "--updates", "10", "--rate", "max")
        self.assertEqual(code, 0, output)

    def test_prometheus_scrapes_what_it_does_elsewhere(self):
        ours, usual = (yaml_of(path) for path in (DEPLOY / "compose" / "prometheus.yml", ROOT / "dashboards/prometheus/prometheus.yml"))
        for each in (ours, usual):
            each["targets"] = [config.pop("static_configs") for config in each["scrape_configs"]]
        self.assertEqual(ours.pop("targets"), [[{"targets": ["broker:9001"]}]])
        usual.pop("targets")
        self.assertEqual(ours, usual)

    def test_grafana_finds_prometheus_and_the_dashboards(self):
        provisioning = ROOT / "dashboards/grafana/provisioning"
        sources = [source for file in (provisioning / "datasources").glob("*.y*ml") for source in yaml_of(file)["datasources"]]
        self.assertEqual([source["url"] for source in sources], ["${PROMETHEUS_URL}"])
        self.assertEqual(SERVICES["grafana"]["environment"]["PROMETHEUS_URL"], "http://prometheus:9090")
        mounted = {pathlib.PurePosixPath(volume.split(":")[1]) for volume in SERVICES["grafana"]["volumes"]}
        for file in (provisioning / "dashboards").glob("*.y*ml"):
            for provider in yaml_of(file)["providers"]:
                self.assertIn(pathlib.PurePosixPath(provider["options"]["path"]), mounted)
