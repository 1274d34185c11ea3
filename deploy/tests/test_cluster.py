"""deploy/cluster: the files of a cluster are consistent with each other, with the broker, and with the files of one broker."""

import ipaddress
import re
import unittest

import yaml
from manifests import Manifests, ManifestTests
from support import BROKER, DEPLOY, FEED_SIM, ROOT, TOOLS, program, run, settings
from test_compose import Strict

FOLDER = DEPLOY / "cluster"
# Of the brokers that share a journal. The nats-servers are the newest that the tests have.
BROKERS, SERVERS = ["broker-a", "broker-b"], ["nats-1", "nats-2", "nats-3"]
INSTALLED = re.findall(r'^  "([0-9.]+) ', (ROOT / ".ci/install-test-tools").read_text(), re.MULTILINE)
IMAGE = f"nats:{INSTALLED[-1]}"
PASSWORDS = {"TICKCAST_NATS_PASSWORD": "a-password", "NATS_ADMIN_PASSWORD": "another"}
# Their defaults are for trying out, so they are in the file.
COMPOSE = yaml.load(re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", (FOLDER / "compose.yml").read_text()), Strict)
SERVICES = COMPOSE["services"]


def nats_server(version=INSTALLED[-1]):
    """The program of this version, or None."""
    path = TOOLS / "nats" / version / "bin/nats-server"
    return path if path.exists() else None


class ComposeTest(unittest.TestCase):
    def test_docker_compose_takes_it(self):
        if not program("docker-compose"):
            self.skipTest("docker-compose is not installed")
        code, output = run(program("docker-compose"), "-f", FOLDER / "compose.yml", "config", "--quiet")
        self.assertEqual((code, output), (0, ""))

    def test_what_is_mounted_and_built_is_there(self):
        for name, service in SERVICES.items():
            for volume in service.get("volumes", []):
                source = volume.split(":")[0]
                if source.startswith("."):
                    self.assertTrue((FOLDER / source).is_file() and volume.endswith(":ro"), f"{name}: {volume}")
                else:
                    self.assertIn(source, COMPOSE["volumes"])
        for name in BROKERS:
            build = SERVICES[name]["build"]
            self.assertEqual((FOLDER / build["context"]).resolve(), ROOT)
            self.assertTrue((ROOT / build["dockerfile"]).is_file())

    def test_one_port_is_published_for_this_machine_only(self):
        self.assertEqual([port for service in SERVICES.values() for port in service.get("ports", [])], ["127.0.0.1:9000:9000"])

    def test_the_brokers_take_their_settings(self):
        for name in BROKERS:
            environment = SERVICES[name]["environment"]
            code, output = run(BROKER, "config", env=environment | {"TICKCAST_LISTEN": "0.0.0.0:9000"})
            self.assertEqual(code, 0, output)
            for variable in environment.keys() - {"TMPDIR"}:
                self.assertTrue(f"from environment {variable}\n" in output, variable)
            hosts = [url.rsplit("@", 1)[1] for url in environment["TICKCAST_JOURNAL_NATS"].split(",")]
            self.assertEqual(hosts, [f"{server}:4222" for server in SERVERS])
            files = SERVICES[name]["ulimits"]["nofile"]["hard"]
            self.assertEqual(files, int(environment["TICKCAST_CONNECTIONS_MAX"]) + 4096 + 512)
            # HAProxy is in the only network, so it is believed.
            (network,) = COMPOSE["networks"]["default"]["ipam"]["config"]
            self.assertEqual(ipaddress.ip_network(environment["TICKCAST_TRUSTED_PROXIES"]), ipaddress.ip_network(network["subnet"]))
        self.assertEqual(len({SERVICES[name]["environment"]["TICKCAST_JOURNAL_NODE"] for name in BROKERS}), len(BROKERS))

    def test_each_broker_has_a_place_for_checkpoints(self):
        for name in BROKERS:
            service = SERVICES[name]
            self.assertEqual(service["volumes"], [f"{name}:{service['environment']['TMPDIR']}"])
            self.assertTrue(service["read_only"])
        # An empty volume takes its owner from the image's directory.
        self.assertRegex((DEPLOY / "Dockerfile").read_text(), r"(?m)^COPY --from=build --chown=65532:65532 /\w+ /var/lib/tickcast$")

    def test_the_servers_are_three_with_a_store_each(self):
        self.assertEqual({SERVICES[name]["environment"]["NATS_NAME"] for name in SERVERS}, set(SERVERS))
        stores = [volume for name in SERVERS for volume in SERVICES[name]["volumes"] if volume.endswith(":/data")]
        self.assertEqual(len(set(stores)), 3)
        self.assertEqual({SERVICES[name]["image"] for name in SERVERS}, {IMAGE})

    def test_feed_sim_takes_its_arguments(self):
        command = [FEED_SIM, *SERVICES["feed-sim"]["command"]]
        target = command.index("--to") + 1
        self.assertEqual(command[target], "ws://haproxy:9000/v1/ws")
        # The name by which it asks has to be one of the brokers'.
        self.assertIn("haproxy", SERVICES["broker-a"]["environment"]["TICKCAST_ALLOW_HOST"].split(","))
        command[target] = "null"
        code, output = run(*command, "--updates", "10", "--rate", "max")
        self.assertEqual(code, 0, output)


class NatsConfTest(unittest.TestCase):
    def test_both_supported_versions_take_it(self):
        texts = {"compose": (FOLDER / "nats.conf").read_text(), "kubernetes": MANIFESTS.only("ConfigMap", "tickcast-nats")["data"]["nats.conf"]}
        for version in INSTALLED:
            if not nats_server(version):
                self.skipTest(f"nats-server {version} is not installed")
            for name, text in texts.items():
                code, output = run(nats_server(version), "-t", "-c", "/dev/stdin", input=text, env=PASSWORDS | {"NATS_NAME": "n1"})
                self.assertEqual(code, 0, f"{version}, {name}: {output}")

    def test_that_of_kubernetes_is_the_same_but_for_the_routes(self):
        def settings_of(text):
            text = re.sub(r"(?m)^ *#.*\n", "", text)
            routes = re.search(r"routes: \[([^\]]*)\]", text)
            return text.replace(routes[0], ""), re.findall(r'"nats://([^"]*)"', routes[1])

        here, routes = settings_of((FOLDER / "nats.conf").read_text())
        there, others = settings_of(MANIFESTS.only("ConfigMap", "tickcast-nats")["data"]["nats.conf"])
        self.assertEqual(here.split(), there.split())
        self.assertEqual((len(routes), len(others)), (3, 3))

    def test_the_log_fits(self):
        text = (FOLDER / "nats.conf").read_text()
        store = int(re.search(r"max_file_store: (\d+)G", text)[1]) << 30
        self.assertGreater(store, 3 * settings()["journal_bytes_max"])
        self.assertIn("sync_interval: always", text)


class HaproxyTest(unittest.TestCase):
    def test_it_knows_every_broker(self):
        text = (FOLDER / "haproxy.cfg").read_text()
        self.assertEqual(re.findall(r"(?m)^ +server \w+ ([\w-]+):9000$", text), BROKERS)
        connections = int(re.search(r"maxconn (\d+)", text)[1])
        self.assertGreater(SERVICES["haproxy"]["ulimits"]["nofile"]["hard"], 2 * connections + 100)
        usual = (DEPLOY / "haproxy/haproxy.cfg").read_text()
        for line in re.findall(r"(?m)^ +(?:timeout|http-check) .*$", text):
            self.assertIn(line, usual)


MANIFESTS = Manifests(FOLDER / "kubernetes")


class KubernetesTest(ManifestTests, unittest.TestCase):
    MANIFESTS = MANIFESTS

    def test_what_is_as_without_a_cluster_is_the_same(self):
        for name in ("namespace", "service", "ingress", "servicemonitor"):
            same, usual = ((folder / f"{name}.yaml").read_text() for folder in (MANIFESTS.folder, DEPLOY / "kubernetes"))
            self.assertEqual(same, usual, name)

    def test_the_servers_have_the_names_by_which_brokers_and_routes_know_them(self):
        servers = MANIFESTS.only("StatefulSet", "tickcast-nats")["spec"]
        self.assertEqual(servers["serviceName"], MANIFESTS.only("Service", "tickcast-nats")["metadata"]["name"])
        names = [f"tickcast-nats-{index}.{servers['serviceName']}" for index in range(servers["replicas"])]
        urls = MANIFESTS.environment()["TICKCAST_JOURNAL_NATS"].split(",")
        self.assertEqual(urls, [f"nats://tickcast:nats_password@{name}:4222" for name in names])
        routes = re.findall(r'"nats://([^"]*:6222)"', MANIFESTS.only("ConfigMap", "tickcast-nats")["data"]["nats.conf"])
        self.assertEqual(routes, [f"{name}:6222" for name in names])

    def test_the_servers_have_a_disk_and_a_secret(self):
        servers = MANIFESTS.only("StatefulSet", "tickcast-nats")["spec"]
        (container,) = servers["template"]["spec"]["containers"]
        self.assertEqual(container["image"], IMAGE)
        (claim,) = servers["volumeClaimTemplates"]
        self.assertIn({"name": claim["metadata"]["name"], "mountPath": "/data"}, container["volumeMounts"])
        size = int(claim["spec"]["resources"]["requests"]["storage"].removesuffix("Gi"))
        store = int(re.search(r"max_file_store: (\d+)G", MANIFESTS.only("ConfigMap", "tickcast-nats")["data"]["nats.conf"])[1])
        self.assertGreater(size, store)
        secrets = {variable["valueFrom"]["secretKeyRef"]["key"] for variable in container["env"] if "secretKeyRef" in variable["valueFrom"]}
        self.assertEqual(secrets, {"password", "admin-password"})
        # The guide has the command that makes it.
        guide = (ROOT / "broker/docs/cluster.md").read_text()
        for key in secrets:
            self.assertIn(f"--from-literal={key}=", guide)

    def test_the_network_lets_brokers_reach_the_journal_and_nobody_else(self):
        clients = MANIFESTS.only("NetworkPolicy", "tickcast-nats")["spec"]["ingress"][0]
        brokers = MANIFESTS.only("Deployment")["spec"]["template"]["metadata"]["labels"]
        selected = [peer["podSelector"]["matchLabels"] for peer in clients["from"]]
        self.assertEqual([labels for labels in selected if labels.items() <= brokers.items()], [{"app.kubernetes.io/name": "tickcast"}])
        to = MANIFESTS.only("NetworkPolicy")["spec"]["egress"][0]
        self.assertEqual(to["to"], [{"podSelector": {"matchLabels": {"app.kubernetes.io/name": "tickcast-nats"}}}])
        self.assertEqual(to["ports"], [{"port": 4222}])

    def test_there_is_a_place_for_two_checkpoints(self):
        mounts = {mount["mountPath"]: mount["name"] for mount in MANIFESTS.container["volumeMounts"]}
        (size,) = [each["emptyDir"]["sizeLimit"] for each in MANIFESTS.pod["spec"]["volumes"] if each["name"] == mounts["/tmp"]]
        contents = MANIFESTS.config["retain_bytes_max"] + MANIFESTS.config["images_bytes_max"] + settings()["sources_bytes_max"]
        self.assertGreater(int(size.removesuffix("Gi")) << 30, 2 * contents)

    def test_there_is_more_than_one_broker_each_with_a_name(self):
        self.assertGreaterEqual(MANIFESTS.only("Deployment")["spec"]["replicas"], 2)
        node = next(each for each in MANIFESTS.container["env"] if each["name"] == "TICKCAST_JOURNAL_NODE")
        self.assertEqual(node["valueFrom"], {"fieldRef": {"fieldPath": "metadata.name"}})
