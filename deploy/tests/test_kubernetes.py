"""deploy/kubernetes: checked against Kubernetes' own schemas, and for what schemas do not cover: that the manifests are
consistent with each other and with the broker."""

import pathlib
import tempfile
import tomllib
import unittest

import yaml
from support import BROKER, DEPLOY, program, run, settings, uncommented

FOLDER = DEPLOY / "kubernetes"
FILES = sorted(FOLDER.glob("*.yaml"))
# The first version that has the preStop action `sleep` enabled, and the newest that the validator knows.
VERSIONS = ["1.30", "1.37"]
# Kinds of an operator and of kubectl, not of Kubernetes itself.
OTHERS = {"ServiceMonitor", "Kustomization"}
OBJECTS = [each for file in FILES for each in yaml.safe_load_all(file.read_text())]


def only(kind, name="tickcast"):
    return next(each for each in OBJECTS if each["kind"] == kind and each["metadata"]["name"] == name)


POD = only("Deployment")["spec"]["template"]
BROKER_CONTAINER = POD["spec"]["containers"][0]
CONFIG = tomllib.loads(only("ConfigMap")["data"]["tickcast.toml"])


class KubernetesTest(unittest.TestCase):
    def test_schemas(self):
        if not program("kubernetes-validate"):
            self.skipTest("kubernetes-validate is not installed")
        own = [file for file in FILES if yaml.safe_load(file.read_text().split("\n---")[0])["kind"] not in OTHERS]
        self.assertEqual(len(own), len(FILES) - len(OTHERS))
        for version in VERSIONS:
            code, output = run(program("kubernetes-validate"), "--strict", "--kubernetes-version", version, *own)
            self.assertEqual(code, 0, output)
            self.assertNotIn("WARN", output)

    def test_the_kustomization_names_every_file(self):
        kustomization = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
        self.assertEqual(sorted([*kustomization["resources"], "kustomization.yaml"]), [file.name for file in FILES])

    def test_selectors_select(self):
        labels = POD["metadata"]["labels"]
        ports = {port["name"]: port["containerPort"] for port in BROKER_CONTAINER["ports"]}
        selectors = [only("Deployment")["spec"]["selector"]["matchLabels"], only("NetworkPolicy")["spec"]["podSelector"]["matchLabels"]]
        selectors += [only("PodDisruptionBudget")["spec"]["selector"]["matchLabels"]]
        services = [each for each in OBJECTS if each["kind"] == "Service"]
        for service in services:
            selectors.append(service["spec"]["selector"])
            for port in service["spec"]["ports"]:
                self.assertEqual(port["port"], ports[port["targetPort"]])
        for selector in selectors:
            self.assertLessEqual(selector.items(), labels.items())
        for rule in only("NetworkPolicy")["spec"]["ingress"]:
            for port in rule["ports"]:
                self.assertIn(port["port"], ports)
        self.assertEqual({name: int(CONFIG[key].rsplit(":", 1)[1]) for name, key in (("clients", "listen"), ("admin", "admin_listen"))}, ports)
        for each in OBJECTS:
            if each["kind"] not in ("Namespace", "Kustomization"):
                self.assertEqual(each["metadata"]["namespace"], only("Namespace")["metadata"]["name"], each["kind"])

    def test_the_service_monitor_finds_the_admin_service_and_only_that(self):
        monitor = only("ServiceMonitor")["spec"]
        selected = [each for each in OBJECTS if each["kind"] == "Service" and monitor["selector"]["matchLabels"].items() <= each["metadata"]["labels"].items()]
        self.assertEqual([service["metadata"]["name"] for service in selected], ["tickcast-admin"])
        names = [port["name"] for port in selected[0]["spec"]["ports"]]
        self.assertEqual([endpoint["port"] for endpoint in monitor["endpoints"]], names)
        # The job's name, by which the rules find it.
        self.assertEqual(selected[0]["metadata"]["labels"][monitor["jobLabel"]], "tickcast")

    def test_the_ingress_leads_to_the_broker_which_believes_it(self):
        ingress = only("Ingress")
        rule = ingress["spec"]["rules"][0]
        self.assertIn(rule["host"], CONFIG["allow_host"])
        self.assertEqual(ingress["spec"]["tls"][0]["hosts"], [rule["host"]])
        backend = rule["http"]["paths"][0]["backend"]["service"]
        self.assertIn(backend["port"]["name"], [port["name"] for port in only("Service", backend["name"])["spec"]["ports"]])
        # The controller names clients in X-Forwarded-For, so connections have no header of their own.
        self.assertTrue(CONFIG["trusted_proxies"])
        self.assertNotIn("proxy_protocol", CONFIG)
        settings_ms = settings()
        annotations = {name.rsplit("/", 1)[1]: value for name, value in ingress["metadata"]["annotations"].items()}
        for name in ("proxy-read-timeout", "proxy-send-timeout"):
            self.assertGreater(int(annotations[name]) * 1000, max(settings_ms["heartbeat_ms"], settings_ms["stall_ms"]))
        self.assertEqual(int(annotations["proxy-body-size"].removesuffix("m")) << 20, settings_ms["ndjson_bytes_max"])

    def test_there_is_time_to_go_away(self):
        sleep_s = BROKER_CONTAINER["lifecycle"]["preStop"]["sleep"]["seconds"]
        # Two seconds for close frames, ten for closing a journal.
        self.assertGreater(POD["spec"]["terminationGracePeriodSeconds"], sleep_s + CONFIG["drain_ms"] / 1000 + 2 + 10)
        # Clients get goaway only once there is another broker.
        rolling = only("Deployment")["spec"]["strategy"]["rollingUpdate"]
        self.assertEqual(rolling, {"maxSurge": 1, "maxUnavailable": 0})

    def test_probes_ask_what_the_admin_listener_answers(self):
        for probe, path in (("livenessProbe", "/healthz"), ("readinessProbe", "/readyz"), ("startupProbe", "/readyz")):
            self.assertEqual(BROKER_CONTAINER[probe]["httpGet"], {"path": path, "port": "admin"})

    def test_there_is_time_to_read_a_journal(self):
        probe = BROKER_CONTAINER["startupProbe"]
        start_s = probe["periodSeconds"] * probe["failureThreshold"]
        self.assertGreaterEqual(start_s, 900)
        self.assertGreater(only("Deployment")["spec"]["progressDeadlineSeconds"], start_s)
        # The other probes begin when this one has succeeded, so none of them ends a broker that reads.

    def test_the_broker_takes_its_configuration(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "tickcast.toml"
            file.write_text(only("ConfigMap")["data"]["tickcast.toml"])
            code, output = run(BROKER, "config", "--config", file)
            self.assertEqual(code, 0, output)
        self.assertEqual(BROKER_CONTAINER["args"], ["serve", "--config", "/etc/tickcast/tickcast.toml"])
        service, namespace = "tickcast", only("Namespace")["metadata"]["name"]
        for name in (service, f"{service}.{namespace}", f"{service}.{namespace}.svc", f"{service}.{namespace}.svc.cluster.local"):
            self.assertIn(name, CONFIG["allow_host"])
        bounds = sum(CONFIG[name] for name in ("retain_bytes_max", "images_bytes_max", "bodies_bytes_max"))
        memory = int(BROKER_CONTAINER["resources"]["limits"]["memory"].removesuffix("Gi")) << 30
        # A quarter for the rest, and 8 KiB for each connection.
        self.assertLess(bounds + CONFIG["connections_max"] * 8192, memory * 3 // 4)

    def test_the_optional_journal_is_in_a_volume(self):
        pod = yaml.safe_load(uncommented((FOLDER / "deployment.yaml").read_text()))["spec"]["template"]["spec"]
        config = tomllib.loads(yaml.safe_load(uncommented((FOLDER / "configmap.yaml").read_text()))["data"]["tickcast.toml"])
        mounts = {mount["mountPath"]: mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
        claims = {volume["name"]: volume.get("persistentVolumeClaim") for volume in pod["volumes"]}
        claim = claims[mounts[str(pathlib.PurePosixPath(config["journal_dir"]).parent)]]
        # README.md has the claim itself, and what else a journal takes.
        readme = (DEPLOY / "README.md").read_text()
        kinds = [yaml.safe_load(block.split("```")[0]) for block in readme.split("```yaml\n")[1:]]
        self.assertEqual([each["metadata"]["name"] for each in kinds if each["kind"] == "PersistentVolumeClaim"], [claim["claimName"]])

    def test_it_runs_as_nobody_and_writes_nothing(self):
        security = BROKER_CONTAINER["securityContext"] | POD["spec"]["securityContext"]
        self.assertTrue(security["runAsNonRoot"] and security["runAsUser"] > 0 and security["readOnlyRootFilesystem"])
        self.assertEqual((security["allowPrivilegeEscalation"], security["capabilities"]), (False, {"drop": ["ALL"]}))
