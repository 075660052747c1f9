"""The manifests for Kubernetes as far as they can be held to their word without a cluster."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from pipeline_assets.cli.main import main
from pipeline_assets.settings import VARIABLES, Settings

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
KUSTOMIZATION: dict[str, Any] = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
OBJECTS: list[dict[str, Any]] = [
    each for name in KUSTOMIZATION["resources"] for each in yaml.safe_load_all((FOLDER / name).read_text())
]
DEPLOYMENTS = [each for each in OBJECTS if each["kind"] == "Deployment"]
CONTAINERS = [one for each in DEPLOYMENTS for one in each["spec"]["template"]["spec"]["containers"]]


def example() -> dict[str, str]:
    lines = (FOLDER / "pipeline.env.example").read_text().splitlines()
    return dict(line.removeprefix("# ").split("=", 1) for line in lines if "=" in line)


def test_each_selector_finds_its_pods_and_each_service_a_port() -> None:
    ports: dict[str, set[str]] = {}
    for each in DEPLOYMENTS:
        labels = each["spec"]["template"]["metadata"]["labels"]
        assert each["spec"]["selector"]["matchLabels"] == labels
        named = [
            port["name"] for one in each["spec"]["template"]["spec"]["containers"] for port in one.get("ports", ())
        ]
        ports[labels["app"]] = set(named)
    for service in (each for each in OBJECTS if each["kind"] == "Service"):
        wanted = {port["targetPort"] for port in service["spec"]["ports"]}
        assert wanted <= ports[service["spec"]["selector"]["app"]]


@pytest.mark.parametrize("container", CONTAINERS, ids=lambda one: str(one["name"]))
def test_each_container_has_the_variables_and_mounts_volumes_that_are_there(container: dict[str, Any]) -> None:
    (secret,) = KUSTOMIZATION["secretGenerator"]
    assert container["envFrom"] == [{"secretRef": {"name": secret["name"]}}]
    pod = next(each for each in DEPLOYMENTS if container in each["spec"]["template"]["spec"]["containers"])
    volumes = {volume["name"] for volume in pod["spec"]["template"]["spec"]["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
    assert container["image"] == KUSTOMIZATION["images"][0]["name"]
    assert any(mount["mountPath"] == "/state" for mount in container["volumeMounts"])


def test_the_variables_of_the_example_are_settings(tmp_path: Path) -> None:
    given = example()
    assert set(given) - set(VARIABLES) == {"MLFLOW_S3_ENDPOINT_URL", "DAGSTER_HOME"}
    filled = {name: text or "https://mlflow.example" for name, text in given.items()}
    settings = Settings.from_env(filled, tmp_path)
    assert None not in (settings.s3, settings.greenplum, settings.tarantool, settings.mlflow)
    assert str(settings.state).startswith("/state/")


def test_the_page_takes_its_options() -> None:
    (page,) = (one for one in CONTAINERS if one["name"] == "page")
    assert CliRunner().invoke(main, [*page["args"][1:], "--help"]).exit_code == 0
    (header,) = page["readinessProbe"]["httpGet"]["httpHeaders"]
    assert header["value"] in page["args"]


def test_dagsters_instance_is_that_of_the_package() -> None:
    (generated,) = KUSTOMIZATION["configMapGenerator"]
    key, _, file = generated["files"][0].partition("=")
    assert (FOLDER / file).read_text() == (ROOT / "pipeline_assets" / "instance.yaml").read_text()
    mounts = [mount for one in CONTAINERS for mount in one["volumeMounts"] if mount["name"] == "instance"]
    assert mounts
    assert {mount["mountPath"] for mount in mounts} == {f"{example()['DAGSTER_HOME']}/{key}"}
