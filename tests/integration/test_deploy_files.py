"""What is deployed is what there is: every role, every setting, every metric, and files that their readers accept."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from deploy.local.cluster import prometheus_config
from deploy.local.jars import POM
from deploy.roles import MEASURED, ROLES, SERVING_HTTP
from events.slots import SLOTS
from services.cluster.process import ALL_ROLES
from services.runtime import metrics
from services.runtime.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = ROOT / "docker-compose.yml"
KUBERNETES = DEPLOY / "kubernetes"
RULES = DEPLOY / "prometheus" / "rules.yml"
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))

SETTINGS = {f"WAYBILL_{field.upper()}" for field in Settings.model_fields}
OTHERS_METRICS = {"up", "process_cpu_seconds_total", "process_resident_memory_bytes"}

Doc = dict[str, Any]


def compose() -> Doc:
    found: Doc = yaml.safe_load(COMPOSE.read_text())
    return found


def documents(text: str) -> list[Doc]:
    return [document for document in yaml.safe_load_all(text) if document]


def manifests(kind: str = "") -> list[Doc]:
    """What the base is made of, before anything is laid over it."""
    base = KUBERNETES / "base"
    [kustomization] = documents((base / "kustomization.yaml").read_text())
    found = [one for name in kustomization["resources"] for one in documents((base / name).read_text())]
    return [one for one in found if kind in ("", one["kind"])]


def role_of(container: Doc) -> str:
    assert container["args"][0] == "run"
    return str(container["args"][1])


# --- roles -----------------------------------------------------------------------------------------------------------


def test_the_roles_are_those_that_waybill_runs() -> None:
    assert sorted(ROLES) == sorted(ALL_ROLES)


def test_compose_has_a_service_for_every_role() -> None:
    services = {name: one["command"] for name, one in compose()["services"].items() if one["image"] == "waybill"}

    assert services == {role: ["run", role] for role in ROLES}


def test_kubernetes_has_a_deployment_for_every_role() -> None:
    deployments = {one["metadata"]["name"]: one["spec"]["template"]["spec"] for one in manifests("Deployment")}

    assert {name: role_of(spec["containers"][0]) for name, spec in deployments.items()} == {
        role: role for role in ROLES
    }
    assert {one["metadata"]["name"] for one in manifests("Service")} == set(SERVING_HTTP)


def test_prometheus_asks_every_role_that_measures() -> None:
    [job] = documents((DEPLOY / "prometheus" / "prometheus.yml").read_text())[0]["scrape_configs"]
    [names] = [one["names"] for one in job["dns_sd_configs"]]

    assert sorted(names) == sorted(MEASURED)


# --- settings and versions -------------------------------------------------------------------------------------------


def deployed_texts() -> Iterator[tuple[Path, str]]:
    for path in [COMPOSE, *sorted(DEPLOY.rglob("*"))]:
        if path.is_file() and path.suffix != ".pyc":
            yield path, path.read_text(encoding="utf-8")


def test_every_variable_is_a_setting() -> None:
    own = {"WAYBILL_CLUSTER_CACHE"}  # read by deploy/local alone
    named = {name for _, text in deployed_texts() for name in re.findall(r"\bWAYBILL_[A-Z_]+", text)}

    assert named - own <= SETTINGS


def test_passwords_stand_in_the_compose_file_alone_and_can_be_replaced_there() -> None:
    given = re.compile(r"(?i)(?:password|passwd|secret|(?<!account)token)[\"']?\s*[:=]\s*[\"']?[\w$]")
    outside = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path, text in deployed_texts()
        for line in text.splitlines()
        if path.suffix in {".yml", ".yaml", ".json", ".properties", ""} and path != COMPOSE and given.search(line)
    ]
    assert outside == []
    assert manifests("Secret") == []
    in_compose = re.findall(r"PASSWORD: (.+)", COMPOSE.read_text())
    assert in_compose
    assert all(re.fullmatch(r"\$\{[A-Z_]+:-default-for-this-machine-only\}", value) for value in in_compose)


def test_servers_are_published_to_this_machine_alone() -> None:
    ports = [port for one in compose()["services"].values() for port in one.get("ports", [])]

    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_both_ways_without_kubernetes_run_the_same_kafka() -> None:
    [version] = re.findall(r"<artifactId>kafka_2\.13</artifactId>\s*<version>(.+)</version>", POM.read_text())

    assert compose()["services"]["kafka"]["image"] == f"apache/kafka:{version}"


def test_the_image_has_extras_that_exist() -> None:
    [extras] = re.findall(r"^ARG EXTRAS=(\S+)$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]

    assert set(extras.split(",")) <= known.keys()


# --- files that their readers accept ---------------------------------------------------------------------------------


def test_the_compose_file_is_one() -> None:
    pytest.importorskip("check_jsonschema", reason="check-jsonschema is not installed (make install)")

    check = ["-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE)]
    done = subprocess.run([sys.executable, *check], check=False, capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stdout


def validate(document: Doc) -> None:
    """Against Kubernetes' own schemas, where no field may be misspelled."""
    schemas = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed (make install)")
    if document["apiVersion"].partition("/")[0] != "keda.sh":  # which is not Kubernetes' own
        schemas.validate(document, schemas.latest_version(), strict=True)


@pytest.mark.parametrize("document", manifests(), ids=lambda one: f"{one['kind']}-{one['metadata']['name']}")
def test_a_manifest_is_one(document: Doc) -> None:
    validate(document)


@pytest.mark.may_skip  # neither program is a Debian or a Python package
def test_what_kustomize_makes_of_them_is_valid_and_safe() -> None:
    rendered = documents(kustomized(KUBERNETES / "overlays" / "example"))

    deployments = {one["metadata"]["name"]: one["spec"] for one in rendered if one["kind"] == "Deployment"}
    assert sorted(deployments) == sorted(ROLES)
    for document in rendered:
        validate(document)
    for name, spec in deployments.items():
        pod = spec["template"]["spec"]
        [container] = pod["containers"]
        assert container["image"] == "images.example.com/waybill:0.1.0"
        assert pod["securityContext"]["runAsNonRoot"], name
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}, name
        assert {"livenessProbe", "readinessProbe", "startupProbe"} <= container.keys(), name
        mounted = {one["name"] for one in container["volumeMounts"]}
        assert mounted <= {one["name"] for one in pod["volumes"]}, name
        assert container["readinessProbe"]["httpGet"]["port"] in {one["name"] for one in container["ports"]}, name


def kustomized(folder: Path) -> str:
    if program := shutil.which("kustomize"):
        command = [program, "build"]
    elif program := shutil.which("kubectl"):
        command = [program, "kustomize"]
    else:
        pytest.skip("neither kustomize nor kubectl is on this machine")
    return subprocess.run([*command, str(folder)], check=True, capture_output=True, text=True, timeout=60).stdout


def test_a_worker_is_scaled_by_its_lag_up_to_a_process_for_each_slot() -> None:
    scaled = documents((KUBERNETES / "components" / "autoscaling" / "lag.yaml").read_text())

    assert {one["spec"]["scaleTargetRef"]["name"] for one in scaled} == {"order", "payment", "inventory", "shipping"}
    assert {one["spec"]["maxReplicaCount"] for one in scaled} == {SLOTS}
    assert f"waybill_assigned_slots) < {SLOTS}" in RULES.read_text()


# --- seeing it -------------------------------------------------------------------------------------------------------


@pytest.fixture
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("no promtool on this machine (Debian: apt-get install prometheus)")
    return found


@pytest.mark.parametrize(
    "words",
    [
        ("check", "rules", str(RULES)),
        ("check", "config", str(RULES.with_name("prometheus.yml"))),
        ("test", "rules", str(RULES.with_name("rules.test.yml"))),
    ],
    ids=" ".join,
)
def test_promtool_accepts(promtool: str, words: tuple[str, ...]) -> None:
    done = subprocess.run([promtool, *words], check=False, capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_accepts_what_the_local_cluster_writes(promtool: str, tmp_path: Path) -> None:
    config = tmp_path / "prometheus.yml"
    config.write_text(prometheus_config({"order": 15_001, "relay": 15_002}))

    done = subprocess.run([promtool, "check", "config", str(config)], check=False, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr


def rules() -> list[dict[str, Any]]:
    return [rule for group in documents(RULES.read_text())[0]["groups"] for rule in group["rules"]]


def series() -> set[str]:
    """The names under which Prometheus finds what services/runtime/metrics.py measures."""
    found: set[str] = set()
    for one in vars(metrics).values():
        if isinstance(one, MetricWrapperBase):
            for family in one.describe():
                suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(family.type, ("",))
                found |= {family.name + suffix for suffix in suffixes}
    return found


def named_in(expression: str) -> set[str]:
    """The series that a PromQL expression asks for: words of its own, out of braces, quotes and label lists."""
    bare = re.sub(r"\{[^}]*\}|\"[^\"]*\"|\b(?:by|on|ignoring|without)\s*\([^)]*\)|\[[^\]]*\]", " ", expression)
    return set(re.findall(r"\b(?:waybill_\w+|process_\w+|\w+:\w+(?::\w+)*|up)\b", bare))


RECORDED = {rule["record"] for rule in rules() if "record" in rule}


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("alert", rule.get("record")))
def test_a_rule_asks_for_what_is_measured(rule: dict[str, Any]) -> None:
    asked = named_in(rule["expr"])

    assert asked
    assert asked - series() - RECORDED - OTHERS_METRICS == set()


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_asks_for_what_is_measured(path: Path) -> None:
    dashboard = json.loads(path.read_text())
    asked = {name for panel in dashboard["panels"] for one in panel["targets"] for name in named_in(one["expr"])}

    assert asked
    assert asked - series() - RECORDED - OTHERS_METRICS == set()


def test_what_is_measured_is_shown_or_watched() -> None:
    looked_at = RULES.read_text() + "".join(path.read_text() for path in DASHBOARDS)
    families = {name.removesuffix("_bucket") for name in series() if not name.endswith(("_sum", "_count"))}

    assert {family for family in families if family not in looked_at} == set()


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_is_whole(path: Path) -> None:
    dashboard = json.loads(path.read_text())
    [source] = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yml").read_text())["datasources"]
    panels = dashboard["panels"]

    assert dashboard["uid"] == f"waybill-{path.stem}"
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert {panel["datasource"]["uid"] for panel in panels} == {source["uid"]}


@pytest.mark.parametrize("rule", [rule for rule in rules() if "alert" in rule], ids=lambda rule: rule["alert"])
def test_an_alert_says_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"warn", "page"}
    assert rule["annotations"].keys() == {"summary", "description"}
    assert rule["alert"] in (ROOT / "docs" / "cluster.md").read_text()
