"""YAML of plain values: what is read, and that everything else is one line."""

from pathlib import Path

import pytest

from mine.errors import InputError
from mine.inputs.yaml_file import parse_yaml, read_yaml

FILE = "section: {number: 1, rate: 1e-3, list: [1, 2.5, true, null, text]}\n3: key\n"


def test_plain_values_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(FILE)
    section = {"number": 1, "rate": 1e-3, "list": [1, 2.5, True, None, "text"]}
    assert read_yaml(path, "thing", "give one") == {"section": section, "3": "key"}
    path.write_text("")
    assert read_yaml(path, "thing", "give one") == {}


def test_dates_are_text() -> None:
    for text in ("2020-13-45", "2020-01-01", "2020-01-01 00:00:00"):
        assert parse_yaml(text, "a.yaml", "") == text


BOMB = "\n".join(["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 64)])
MERGED = "\n".join(["a0: &a0 {x: 1}"] + [f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}" for n in range(1, 64)])


@pytest.mark.parametrize(
    "text",
    [
        *("!!int x", "!!bool x", "!!float x", "!!timestamp x", "!!binary x", "!!python/name:os.system x", "!own x"),
        *(
            "a: !!set {b}",
            "!!pairs [a: 1]",
            "0b_",
            "0x_",
            "? [a]\n: 1",
            "? {a: b}\n: 1",
            "a: b: c",
            "[",
            "\t",
            "%x",
        ),
        *("[" * 5000, "[" * 200_000, "{a: " * 5000, "- " * 5000, "? " * 5000, BOMB, MERGED, "&a [*a]", "&a {a: *a}"),
        *(
            "9" * 5000,
            "0x" + "f" * 5000,
            str(2**63),
            str(-(2**63)),
            "? 0x" + "f" * 4000 + "\n: 1",
            "*none",
            "\x00",
            "\x1b",
        ),
    ],
    ids=lambda text: text[:12].encode("unicode_escape").decode(),
)
def test_everything_else_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"a\.yaml") as error:
        read_yaml(path, "thing", "give one")
    assert "\n" not in str(error.value) and len(str(error.value)) < 600


def test_large_files_are_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"#" * (1 << 19))
    with pytest.raises(InputError, match="more than the 65536"):
        read_yaml(path, "thing", "give one")
