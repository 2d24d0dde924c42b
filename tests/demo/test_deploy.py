"""The container and the Space: what their files name is there."""

import re
import runpy
import tomllib
from pathlib import Path

import pytest
import uvicorn
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = dict(re.findall(r"^([\w.-]+)==([\w.]+)$", (ROOT / "requirements.txt").read_text(), re.MULTILINE))


def numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)))


LOWEST = numbers(PROJECT["requires-python"])


def test_what_the_container_copies_exists_and_is_not_ignored() -> None:
    sources = [
        source
        for line in re.findall(r"^COPY (.+)$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
        for source in line.split()[:-1]
    ]
    assert "requirements.txt" in sources and "." in sources
    ignored = (ROOT / ".dockerignore").read_text().split()
    for source in sources:
        assert (ROOT / source).exists(), source
        assert source not in ignored
    # What the package consists of goes into the image with the whole folder.
    for part in ("mine", "demo", "checkpoints", "configs", "data", "pyproject.toml", "README.md"):
        assert part not in ignored


@pytest.mark.parametrize("file", ["Dockerfile", "space/requirements.txt"])
def test_pytorch_is_that_of_the_requirements(file: str) -> None:
    named = dict(re.findall(r"\b(torch|torchvision)==([\w.]+)", (DEPLOY / file).read_text()))
    assert named == {name: PINS[name] for name in ("torch", "torchvision")}


def test_the_container_runs_a_python_and_a_command_of_the_package() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    python = re.search(r"^FROM python:([\d.]+)", text, re.MULTILINE)
    assert python is not None
    assert numbers(python[1]) >= LOWEST
    assert re.search(r'^ENTRYPOINT \["mine", "demo"', text, re.MULTILINE)
    assert "mine" in PROJECT["scripts"]


def test_the_space_installs_this_package_and_starts_its_file() -> None:
    space = DEPLOY / "space"
    requirements = (space / "requirements.txt").read_text()
    wheel = re.search(r"^\./(\w+)-([\w.]+)-py3-none-any\.whl\[(\w+)\]$", requirements, re.M)
    assert wheel is not None
    assert (wheel[1], wheel[2]) == (PROJECT["name"], PROJECT["version"])
    assert wheel[3] in PROJECT["optional-dependencies"]
    assert f"gradio=={PINS['gradio']}\n" in requirements
    header = (space / "README.md").read_text().split("---")[1]
    values = dict(re.findall(r"^(\w+): (.+)$", header, re.MULTILINE))
    # Spaces of the kind "gradio" install the requirements before any file of the repository is there.
    assert values["sdk"] == "docker"
    steps = re.findall(r"^(FROM|COPY|RUN|CMD|EXPOSE) (.+)$", (space / "Dockerfile").read_text(), re.MULTILINE)
    python = re.fullmatch(r"python:([\d.]+)-slim", dict(steps)["FROM"])
    assert python is not None and numbers(python[1]) >= LOWEST
    copy = steps.index(("COPY", "--chown=visitor . ."))
    assert copy < steps.index(("RUN", "pip install --no-cache-dir -r requirements.txt"))
    (file,) = re.findall(r'"(\w+\.py)"', dict(steps)["CMD"])
    assert (space / file).is_file()
    assert values["app_port"] == dict(steps)["EXPOSE"] == "7860"
    assert wheel[0].removeprefix("./").partition("[")[0] in (space / "README.md").read_text()


def test_a_space_believes_its_proxy_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits are by address: those of all visitors would count as one."""
    text = (DEPLOY / "space" / "Dockerfile").read_text()
    (value,) = re.findall(r"^ENV FORWARDED_ALLOW_IPS=(.+)$", text, re.MULTILINE)
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", value)
    config = uvicorn.Config(lambda: None, port=7860)
    assert config.proxy_headers
    assert "10.20.30.40" in ProxyHeadersMiddleware(lambda: None, config.forwarded_allow_ips).trusted_hosts
    named = re.search(r"-e (FORWARDED_ALLOW_IPS)=", (ROOT / "docs" / "web-page.md").read_text())
    assert named is not None, "for containers, whose proxy is another one"


def test_the_spaces_file_serves_the_page_where_spaces_look_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[dict[str, object]] = []
    monkeypatch.setattr("mine.demo.app.launch", lambda **options: served.append(options))
    monkeypatch.delenv("PORT", raising=False)
    runpy.run_path(str(DEPLOY / "space" / "app.py"), run_name="__main__")
    assert served == [{"host": "0.0.0.0", "port": 7860}]
