"""What `tpgen docker` writes: the files that tools can check are checked by them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

import examples
from image import instructions, read_yaml
from small_models import write_models
from tpgen import BuildOptions, PipelineError, build, check
from tpgen.driver.deploy import deployment_of, server_needs
from tpgen.emit.deployment import IMAGE_FILES, PROGRAMS, deployment_files
from tpgen.emit.features import Features
from tpgen.emit.versions import DEFAULT_TARGET
from tpgen.resources import docker_dir
from tpgen.services.deployment import write_deployment

TOOLS = Path(sys.executable).parent
TWO = """
[pipeline]
name = "Two Heads_2"
[a]
backend = "Identity"
next = "b"
[b]
backend = "Identity"
[c]
backend = "Identity"
"""


def run(*command: str | Path) -> None:
    """Runs a checker, which must be content."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.cpu"])
def test_dockerfiles_pass_hadolint(name: str) -> None:
    run(TOOLS / "hadolint", docker_dir() / name)


def test_the_entry_point_passes_shellcheck() -> None:
    run(TOOLS / "shellcheck", docker_dir() / "entrypoint")


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.cpu"])
def test_images_run_as_nobody_special_and_check_the_models(name: str) -> None:
    found = instructions(docker_dir() / name)
    keywords = [keyword for keyword, _ in found]
    (user,) = [rest for keyword, rest in found if keyword == "USER"]
    assert user.split(":")[0] not in ("0", "root")
    assert keywords.index("USER") > max(i for i, word in enumerate(keywords) if word in ("RUN", "COPY"))
    (health,) = [rest for keyword, rest in found if keyword == "HEALTHCHECK"]
    assert "/opt/tpgen/healthcheck" in health
    copied = " ".join(rest for keyword, rest in found if keyword == "COPY")
    assert all(program in copied for program in PROGRAMS)


def test_default_release_and_server_are_the_compilers() -> None:
    release = dict(
        rest.split("=") for keyword, rest in instructions(docker_dir() / "Dockerfile") if keyword == "ARG"
    )
    assert release["TRITON_RELEASE"] == DEFAULT_TARGET
    extras = tomllib.loads((examples.ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (server,) = re.findall(r'^SERVER = "(.*)"', (docker_dir() / "install").read_text(), re.MULTILINE)
    assert server in extras["serve"]


def test_programs_can_be_run(deployed: Path) -> None:
    for name in IMAGE_FILES:
        executable = bool((deployed / name).stat().st_mode & 0o111)
        assert executable == (name in PROGRAMS)


def test_compose_file_follows_its_schema(deployed: Path) -> None:
    run(TOOLS / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", deployed / "compose.yaml")


def test_compose_file_refers_to_files_that_are_there(deployed: Path) -> None:
    compose = read_yaml(deployed / "compose.yaml")
    mounts = [mount for service in compose["services"].values() for mount in service.get("volumes", ())]
    paths = [mount.partition(":")[0] for mount in mounts if mount.startswith(".")]
    assert len(paths) == 3
    assert all((deployed / path).exists() for path in paths)
    build_ = compose["services"]["triton"]["build"]
    assert (deployed / build_["additional_contexts"]["repository"] / "tpgen.json").is_file()
    assert build_["args"]["TRITON_RELEASE"] == DEFAULT_TARGET
    assert build_["dockerfile"] == "${DOCKERFILE:-Dockerfile.cpu}"


def test_sizes_are_those_that_the_compiler_computes(deployed: Path) -> None:
    service = read_yaml(deployed / "compose.yaml")["services"]["triton"]
    compiled = check(examples.pipeline("detect_classify"), BuildOptions(cores=2)).compiled
    needs = server_needs(compiled)
    assert service["shm_size"] == f"{needs.shm_size}m"
    assert service["command"] == [f"--backend-config=python,shm-default-byte-size={needs.pool}"]
    assert needs.shm_size << 20 >= (needs.processes - 1) * needs.pool
    assert int(service["mem_reservation"].removesuffix("m")) << 20 > needs.memory
    assert "deploy" not in service


def test_needs_of_several_pipelines_are_added_with_one_server() -> None:
    paths = [examples.pipeline(name) for name in ("hello", "two_heads")]
    both = check(paths, BuildOptions(cores=2)).compiled
    alone = [server_needs([one]) for one in both]
    together = server_needs(both)
    assert together.processes == sum(one.processes for one in alone) - 1
    assert max(one.memory for one in alone) < together.memory < sum(one.memory for one in alone)
    assert together.pool == max(one.pool for one in alone)
    assert together.shm_size >= max(one.shm_size for one in alone)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool: apt-get install prometheus")
def test_prometheus_accepts_its_configuration(deployed: Path) -> None:
    run("promtool", "check", "config", deployed / "prometheus.yml")


def test_prometheus_asks_the_servers_metrics_port(deployed: Path) -> None:
    (job,) = read_yaml(deployed / "prometheus.yml")["scrape_configs"]
    (target,) = job["static_configs"][0]["targets"]
    service, _, port = target.partition(":")
    assert service in read_yaml(deployed / "compose.yaml")["services"]
    assert ("EXPOSE", f"8000 8001 {port}") in instructions(docker_dir() / "Dockerfile.cpu")


def test_dashboard_shows_every_node_and_fits_the_grid(deployed: Path) -> None:
    board = json.loads((deployed / "grafana" / "dashboards" / "pipelines.json").read_text())
    numbers = [panel["id"] for panel in board["panels"]]
    assert len(set(numbers)) == len(numbers)
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells
    nodes = set(tomllib.loads(examples.pipeline("detect_classify").read_text())) - {"pipeline"}
    items = next(panel for panel in board["panels"] if panel["title"] == "items a second")
    assert {target["legendFormat"] for target in items["targets"]} == nodes
    source = read_yaml(deployed / "grafana" / "provisioning" / "datasources" / "prometheus.yaml")
    (uid,) = {panel["datasource"]["uid"] for panel in board["panels"] if panel["type"] != "row"}
    assert uid == source["datasources"][0]["uid"]


def test_entries_have_rows_of_their_own_and_the_project_a_name_for_docker(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text(TWO.replace("Two Heads_2", "Two.Heads_2"))
    deployment = deployment_of(
        check(path, BuildOptions(cores=2, fuse="none")).compiled, "repository", Features()
    )
    assert deployment.project == "two-heads_2"
    assert {entry.name: entry.nodes for entry in deployment.entries} == {
        "Two.Heads_2.a": ("a", "b"),
        "Two.Heads_2.c": ("c",),
    }
    first = deployment.entries[0]
    assert first.models == ("Two.Heads_2.a", "Two.Heads_2__a", "Two.Heads_2__b")
    board = json.loads(deployment_files(deployment)["grafana/dashboards/pipelines.json"])
    assert [panel["title"] for panel in board["panels"] if panel["type"] == "row"] == [
        "Two.Heads_2.a: nodes",
        "Two.Heads_2.a: Triton",
        "Two.Heads_2.c: nodes",
        "Two.Heads_2.c: Triton",
    ]


def test_a_newer_release_takes_nvidias_image(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text('[pipeline]\ntarget_triton = "25.03"\n[a]\nbackend = "Identity"\n')
    deployment = deployment_of(check(path, BuildOptions(cores=2)).compiled, "repository", Features())
    compose = deployment_files(deployment)["compose.yaml"].decode()
    assert "${DOCKERFILE:-Dockerfile}" in compose
    assert 'TRITON_RELEASE: "25.03"' in compose


def test_a_gpu_and_odd_paths_are_given_as_compose_wants_them(tmp_path: Path) -> None:
    compiled = check(examples.pipeline("hello"), BuildOptions(cores=2)).compiled
    deployment = replace(deployment_of(compiled, "../a $b: 'c\"d", Features()), target="gpu")
    path = tmp_path / "compose.yaml"
    path.write_bytes(deployment_files(deployment)["compose.yaml"])
    run(TOOLS / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", path)
    service = read_yaml(path)["services"]["triton"]
    (device,) = service["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]
    assert service["build"]["dockerfile"] == "${DOCKERFILE:-Dockerfile}"
    assert service["build"]["additional_contexts"]["repository"] == "../a $$b: 'c\"d"


def test_a_repository_is_enough_where_its_toml_is_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "hello.toml"
    path.write_text(examples.pipeline("hello").read_text())
    build(path, tmp_path / "model_repository", BuildOptions(cores=2))
    deployment, written, _ = write_deployment(tmp_path / "model_repository", tmp_path / "deep" / "docker")
    assert deployment.repository == "../../model_repository"
    assert "compose.yaml" in written
    again = write_deployment(tmp_path / "model_repository", tmp_path / "deep" / "docker")
    assert again[1] == ()


def test_a_repository_of_another_folders_pipeline_finds_its_toml(tmp_path: Path) -> None:
    folder = tmp_path / "pipelines" / "hello"
    folder.mkdir(parents=True)
    (folder / "pipeline.toml").write_text(examples.pipeline("hello").read_text())
    repository = tmp_path / "model_repository"
    build(folder / "pipeline.toml", repository, BuildOptions(cores=2))
    assert write_deployment(repository, tmp_path / "docker")[0].repository == "../model_repository"
    assert not build(folder / "pipeline.toml", repository, BuildOptions(cores=2)).changed
    (folder / "pipeline.toml").write_text(folder.joinpath("pipeline.toml").read_text() + "# other\n")
    with pytest.raises(PipelineError, match="another state"):
        write_deployment(repository, tmp_path / "docker")


def test_the_toml_of_another_pipeline_in_the_current_folder_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("mine", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "pipeline.toml").write_text('[a]\nbackend = "Identity"\n')
    build(tmp_path / "mine" / "pipeline.toml", tmp_path / "repository", BuildOptions(cores=2))
    (tmp_path / "mine" / "pipeline.toml").unlink()
    monkeypatch.chdir(tmp_path / "other")
    with pytest.raises(PipelineError, match=r"makes 'other', which .* does not hold") as caught:
        write_deployment(Path("../repository"), tmp_path / "docker")
    assert "it holds 'mine'" in str(caught.value.diagnostics[0].hint)
    assert not (tmp_path / "docker").exists()


def test_engines_that_are_still_to_be_built_are_said(tmp_path: Path) -> None:
    write_models(tmp_path)
    text = '[pipeline]\ninputs = {data = "float32[3,8,8]"}\n[net]\nbackend = "TensorrtTensor"\n'
    (tmp_path / "p.toml").write_text(text + 'model = "convolution.onnx"\nprecision = "fp32"\n')
    build(tmp_path / "p.toml", tmp_path / "repository", BuildOptions(target="gpu", cores=2))
    (warning,) = write_deployment(tmp_path / "repository", tmp_path / "docker")[2]
    assert (warning.code, warning.severity.value) == ("TP906", "warning")
    assert f"tpgen engines build {tmp_path}/repository" in str(warning.hint)


def test_files_of_others_and_edited_ones_stay(tmp_path: Path) -> None:
    folder = tmp_path / "docker"
    pipeline = examples.pipeline("hello")
    folder.mkdir()
    (folder / "compose.yaml").write_text("mine")
    with pytest.raises(PipelineError) as found:
        write_deployment(pipeline, folder)
    (problem,) = found.value.diagnostics
    assert (problem.code, "'compose.yaml'" in problem.message) == ("TP615", True)
    assert [path.name for path in folder.iterdir()] == ["compose.yaml"]  # nothing is built for it either
    write_deployment(pipeline, folder, force=True)
    assert (folder / "compose.yaml").read_text() != "mine"
    (folder / "prometheus.yml").write_text("edited")
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(PipelineError, match=r"TP615|prometheus\.yml"):
        write_deployment(pipeline, folder)
    assert (folder / "prometheus.yml").read_text() == "edited"
    assert write_deployment(pipeline, folder, force=True)[1] == ("prometheus.yml",)
    assert (folder / "notes.txt").read_text() == "mine"
    assert not [path for path in folder.iterdir() if path.name.startswith(".prometheus")]


def test_a_model_repository_is_no_folder_for_them(tmp_path: Path) -> None:
    path, repository = tmp_path / "hello.toml", tmp_path / "model_repository"
    path.write_text(examples.pipeline("hello").read_text())
    build(path, repository, BuildOptions(cores=2))
    before = sorted(repository.rglob("*"))
    for target, folder in ((path, repository), (repository, repository), (repository, repository / "docker")):
        for force in (False, True):
            with pytest.raises(PipelineError, match="model repository") as found:
                write_deployment(target, folder, force=force)
            (problem,) = found.value.diagnostics
            assert problem.code == "TP617" and problem.hint
    assert sorted(repository.rglob("*")) == before
    (tmp_path / "file").write_text("")
    with pytest.raises(PipelineError, match="can't be a folder for these files"):
        write_deployment(path, tmp_path / "file")


@pytest.mark.parametrize("record", ["{", "[]", '{"pipelines": []}', '{"pipelines": {"p": 3}}'])
def test_health_check_says_in_a_line_what_it_cannot_read(record: str, tmp_path: Path) -> None:
    (tmp_path / "tpgen.json").write_text(record)
    command = [sys.executable, str(docker_dir() / "healthcheck")]
    environment = {**os.environ, "MODEL_REPOSITORY": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith(f"cannot read {tmp_path / 'tpgen.json'}")
