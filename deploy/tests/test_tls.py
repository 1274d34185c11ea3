"""The broker's own TLS, as the scanners testssl.sh and sslscan see it."""

import json
import pathlib
import tempfile
import unittest
import xml.etree.ElementTree

from support import Broker, free_ports, program, run

SEVERE = {"MEDIUM", "HIGH", "CRITICAL"}
# What the scanner says of certificates that a test can make in no other way: a private authority has no revocation, no
# public log and no DNS records.
OF_THE_TEST = {"cert_revocation", "cert_ocspRevoked", "cert_crlDistributionPoints", "cert_ocspURL", "DNS_CAArecord"}


class Certificate:
    """An authority, and a certificate of it for localhost, valid for 90 days."""

    def __init__(self, folder):
        self.ca, ca_key = folder / "ca.pem", folder / "ca.key"
        self.file, self.key, request, names = (folder / name for name in ("cert.pem", "key.pem", "request", "names"))
        names.write_text(
            "subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\nkeyUsage=digitalSignature\n"
            "basicConstraints=CA:FALSE\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
        )
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        for command in (
            ("req", "-x509", *curve, "-days", "365", "-subj", "/CN=a test's authority", "-keyout", ca_key, "-out", self.ca),
            ("req", *curve, "-subj", "/CN=localhost", "-keyout", self.key, "-out", request),
            ("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", ca_key, "-CAcreateserial", "-days", "90", "-sha256",
             "-extfile", names, "-out", self.file),
        ):  # fmt: skip
            code, output = run("openssl", *command)
            if code != 0:
                raise AssertionError(output)


@unittest.skipUnless(program("openssl"), "openssl is not installed")
class TlsTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.certificate = Certificate(self.folder)
        (self.port,) = free_ports(1)
        self.broker = Broker(
            folder.name, "--tls-listen", f"127.0.0.1:{self.port}", "--tls-cert", str(self.certificate.file),
            "--tls-key", str(self.certificate.key),
        )  # fmt: skip
        self.addCleanup(self.broker.stop)

    @unittest.skipUnless(program("testssl"), "testssl.sh is not installed")
    def test_testssl_finds_nothing(self):
        report = self.folder / "report.json"
        code, output = run(
            "testssl", "--add-ca", self.certificate.ca, "--ip", "127.0.0.1", "--jsonfile", report, "--quiet", "--color", "0",
            "--warnings", "off", "--nodns", "none", "--connect-timeout", "20", "--openssl-timeout", "20",
            # All but what it simulates of other clients, and headers, of which it knows only those of web sites.
            "--protocols", "--std", "--fs", "--server-preference", "--server-defaults", "--vulnerable",
            f"https://localhost:{self.port}", timeout_s=600,
        )  # fmt: skip
        findings = json.loads(report.read_text())
        self.assertGreater(len(findings), 50, f"exit code {code}: {output[-2000:]}")
        offered = {entry["id"]: entry["finding"] for entry in findings}
        self.assertTrue(offered["TLS1_2"].startswith("offered"), offered["TLS1_2"])
        self.assertTrue(offered["TLS1_3"].startswith("offered"), offered["TLS1_3"])
        severe = [entry for entry in findings if entry["severity"] in SEVERE and entry["id"].split()[0] not in OF_THE_TEST]
        self.assertEqual(severe, [])

    @unittest.skipUnless(program("sslscan"), "sslscan is not installed")
    def test_sslscan_finds_nothing(self):
        report = self.folder / "report.xml"
        code, output = run("sslscan", f"--xml={report}", "--no-colour", f"localhost:{self.port}")
        self.assertEqual(code, 0, output)
        scan = xml.etree.ElementTree.parse(report).getroot()
        enabled = {f"{each.get('type')} {each.get('version')}" for each in scan.iter("protocol") if each.get("enabled") == "1"}
        self.assertEqual(enabled, {"tls 1.2", "tls 1.3"})
        strengths = {each.get("cipher"): each.get("strength") for each in scan.iter("cipher")}
        self.assertGreaterEqual(len(strengths), 5)
        self.assertEqual({cipher for cipher, strength in strengths.items() if strength not in ("strong", "acceptable")}, set())
        self.assertEqual({each.get("supported") for each in scan.iter("compression")} - {"0"}, set())
        self.assertEqual({each.get("vulnerable") for each in scan.iter("heartbleed")} - {"0"}, set())
        for each in scan.iter("renegotiation"):
            self.assertTrue(each.get("supported") == "0" or each.get("secure") == "1", each.attrib)

    def test_renegotiation_is_refused(self):
        # "R" asks for it.
        code, output = run(
            "openssl", "s_client", "-connect", f"127.0.0.1:{self.port}", "-tls1_2", "-CAfile", self.certificate.ca,
            input="R\n",
        )  # fmt: skip
        self.assertIn("Verify return code: 0 (ok)", output)
        self.assertIn("RENEGOTIATING", output)
        self.assertIn("no renegotiation", output, f"exit code {code}")
