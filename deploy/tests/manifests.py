"""Shared by the tests of Kubernetes manifests: checked against Kubernetes' own schemas, and for what schemas do not cover: that
the manifests are consistent with each other and with the broker."""

import pathlib
import tempfile
import tomllib

import yaml
from support import BROKER, program, run, settings

# The first version that has the preStop action `sleep` enabled, and the newest that the validator knows.
VERSIONS = ["1.30", "1.37"]
# Kinds of an operator and of kubectl, not of Kubernetes itself.
OTHERS = {"ServiceMonitor", "Kustomization"}


class Manifests:
    """All manifests of a folder."""

    def __init__(self, folder):
        self.folder = folder
        self.files = sorted(folder.glob("*.yaml"))
        self.objects = [each for file in self.files for each in yaml.safe_load_all(file.read_text())]
        self.pod = self.only("Deployment")["spec"]["template"]
        self.container = self.pod["spec"]["containers"][0]
        self.config = tomllib.loads(self.only("ConfigMap")["data"]["tickcast.toml"])

    def only(self, kind, name="tickcast"):
        return next(each for each in self.objects if each["kind"] == kind and each["metadata"]["name"] == name)

    def environment(self):
        """The broker's variables, as its container would have them: fields and secrets are their names, and names of other
        variables in parentheses their values."""
        found = {}
        for variable in self.container.get("env", []):
            value = variable.get("value", variable["name"].lower())
            for name, known in found.items():
                value = value.replace(f"$({name})", known)
            found[variable["name"]] = value
        return found


class ManifestTests:
    """The tests of every such folder, `MANIFESTS`."""

    def test_schemas(self):
        if not program("kubernetes-validate"):
            self.skipTest("kubernetes-validate is not installed")
        own = [file for file in self.MANIFESTS.files if yaml.safe_load(file.read_text().split("\n---")[0])["kind"] not in OTHERS]
        self.assertEqual(len(own), len(self.MANIFESTS.files) - len(OTHERS))
        for version in VERSIONS:
            code, output = run(program("kubernetes-validate"), "--strict", "--kubernetes-version", version, *own)
            self.assertEqual(code, 0, output)
            self.assertNotIn("WARN", output)

    def test_the_kustomization_names_every_file(self):
        kustomization = yaml.safe_load((self.MANIFESTS.folder / "kustomization.yaml").read_text())
        self.assertEqual(sorted([*kustomization["resources"], "kustomization.yaml"]), [file.name for file in self.MANIFESTS.files])

    def test_selectors_select(self):
        workloads = [each for each in self.MANIFESTS.objects if each["kind"] in ("Deployment", "StatefulSet")]
        for workload in workloads:
            spec = workload["spec"]
            labels = spec["template"]["metadata"]["labels"]
            self.assertLessEqual(spec["selector"]["matchLabels"].items(), labels.items())
            for spread in spec["template"]["spec"].get("topologySpreadConstraints", []):
                self.assertLessEqual(spread["labelSelector"]["matchLabels"].items(), labels.items())

        def ports_of(selector):
            """The ports of the one workload that is selected, by their names."""
            labels_of = lambda workload: workload["spec"]["template"]["metadata"]["labels"]  # noqa: E731
            (selected,) = [each for each in workloads if selector.items() <= labels_of(each).items()]
            (container,) = selected["spec"]["template"]["spec"]["containers"]
            return {port["name"]: port["containerPort"] for port in container["ports"]}

        for each in self.MANIFESTS.objects:
            spec = each.get("spec", {})
            if each["kind"] == "Service":
                ports = ports_of(spec["selector"])
                for port in spec["ports"]:
                    self.assertEqual(port["port"], ports[port["targetPort"]])
            elif each["kind"] == "PodDisruptionBudget":
                ports_of(spec["selector"]["matchLabels"])
            elif each["kind"] == "NetworkPolicy":
                ports = ports_of(spec["podSelector"]["matchLabels"])
                for rule in spec["ingress"]:
                    for port in rule["ports"]:
                        self.assertIn(port["port"], ports)
        listeners = {name: int(self.MANIFESTS.config[key].rsplit(":", 1)[1]) for name, key in (("clients", "listen"), ("admin", "admin_listen"))}
        self.assertEqual(listeners, {port["name"]: port["containerPort"] for port in self.MANIFESTS.container["ports"]})
        for each in self.MANIFESTS.objects:
            if each["kind"] not in ("Namespace", "Kustomization"):
                self.assertEqual(each["metadata"]["namespace"], self.MANIFESTS.only("Namespace")["metadata"]["name"], each["kind"])

    def test_the_service_monitor_finds_the_admin_service_and_only_that(self):
        monitor = self.MANIFESTS.only("ServiceMonitor")["spec"]
        wanted, services = monitor["selector"]["matchLabels"], [each for each in self.MANIFESTS.objects if each["kind"] == "Service"]
        selected = [service for service in services if wanted.items() <= service["metadata"]["labels"].items()]
        self.assertEqual([service["metadata"]["name"] for service in selected], ["tickcast-admin"])
        names = [port["name"] for port in selected[0]["spec"]["ports"]]
        self.assertEqual([endpoint["port"] for endpoint in monitor["endpoints"]], names)
        # The job's name, by which the rules find it.
        self.assertEqual(selected[0]["metadata"]["labels"][monitor["jobLabel"]], "tickcast")

    def test_the_ingress_leads_to_the_broker_which_believes_it(self):
        ingress = self.MANIFESTS.only("Ingress")
        rule = ingress["spec"]["rules"][0]
        self.assertIn(rule["host"], self.MANIFESTS.config["allow_host"])
        self.assertEqual(ingress["spec"]["tls"][0]["hosts"], [rule["host"]])
        backend = rule["http"]["paths"][0]["backend"]["service"]
        self.assertIn(backend["port"]["name"], [port["name"] for port in self.MANIFESTS.only("Service", backend["name"])["spec"]["ports"]])
        # The controller names clients in X-Forwarded-For, so connections have no header of their own.
        self.assertTrue(self.MANIFESTS.config["trusted_proxies"])
        self.assertNotIn("proxy_protocol", self.MANIFESTS.config)
        settings_ms = settings()
        annotations = {name.rsplit("/", 1)[1]: value for name, value in ingress["metadata"]["annotations"].items()}
        for name in ("proxy-read-timeout", "proxy-send-timeout"):
            self.assertGreater(int(annotations[name]) * 1000, max(settings_ms["heartbeat_ms"], settings_ms["stall_ms"]))
        self.assertEqual(int(annotations["proxy-body-size"].removesuffix("m")) << 20, settings_ms["ndjson_bytes_max"])

    def test_there_is_time_to_go_away(self):
        sleep_s = self.MANIFESTS.container["lifecycle"]["preStop"]["sleep"]["seconds"]
        # Two seconds for close frames, ten for closing a journal.
        self.assertGreater(self.MANIFESTS.pod["spec"]["terminationGracePeriodSeconds"], sleep_s + self.MANIFESTS.config["drain_ms"] / 1000 + 2 + 10)
        # Clients get goaway only once there is another broker.
        rolling = self.MANIFESTS.only("Deployment")["spec"]["strategy"]["rollingUpdate"]
        self.assertEqual(rolling, {"maxSurge": 1, "maxUnavailable": 0})

    def test_probes_ask_what_the_admin_listener_answers(self):
        for probe, path in (("livenessProbe", "/healthz"), ("readinessProbe", "/readyz"), ("startupProbe", "/readyz")):
            self.assertEqual(self.MANIFESTS.container[probe]["httpGet"], {"path": path, "port": "admin"})

    def test_there_is_time_to_read_a_journal(self):
        probe = self.MANIFESTS.container["startupProbe"]
        start_s = probe["periodSeconds"] * probe["failureThreshold"]
        self.assertGreaterEqual(start_s, 900)
        self.assertGreater(self.MANIFESTS.only("Deployment")["spec"]["progressDeadlineSeconds"], start_s)
        # The other probes begin when this one has succeeded, so none of them ends a broker that reads.

    def test_the_broker_takes_its_configuration(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "tickcast.toml"
            file.write_text(self.MANIFESTS.only("ConfigMap")["data"]["tickcast.toml"])
            code, output = run(BROKER, "config", "--config", file, env=self.MANIFESTS.environment())
            self.assertEqual(code, 0, output)
        self.assertEqual(self.MANIFESTS.container["args"], ["serve", "--config", "/etc/tickcast/tickcast.toml"])
        service, namespace = "tickcast", self.MANIFESTS.only("Namespace")["metadata"]["name"]
        for name in (service, f"{service}.{namespace}", f"{service}.{namespace}.svc", f"{service}.{namespace}.svc.cluster.local"):
            self.assertIn(name, self.MANIFESTS.config["allow_host"])
        bounds = sum(self.MANIFESTS.config[name] for name in ("retain_bytes_max", "images_bytes_max", "bodies_bytes_max"))
        memory = int(self.MANIFESTS.container["resources"]["limits"]["memory"].removesuffix("Gi")) << 30
        # A quarter for the rest, and 8 KiB for each connection.
        self.assertLess(bounds + self.MANIFESTS.config["connections_max"] * 8192, memory * 3 // 4)

    def test_all_run_as_nobody_and_write_nothing_but_their_data(self):
        for workload in (each for each in self.MANIFESTS.objects if each["kind"] in ("Deployment", "StatefulSet")):
            pod = workload["spec"]["template"]["spec"]
            for container in pod["containers"]:
                security = container["securityContext"] | pod["securityContext"]
                self.assertTrue(security["runAsNonRoot"] and security["runAsUser"] > 0 and security["readOnlyRootFilesystem"])
                self.assertEqual((security["allowPrivilegeEscalation"], security["capabilities"]), (False, {"drop": ["ALL"]}))
