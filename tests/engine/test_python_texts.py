"""What `engine.catalogue.python_texts` promises: Python's own texts, each time the same, or one sentence."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from engine.catalogue.python_texts import CODE_CHARS, python_code, python_docs
from engine.errors import CorpusError


def library(root: Path, **files: str | bytes) -> Path:
    for name, code in files.items():
        path = root / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(code.encode() if isinstance(code, str) else code)
    return root


def test_the_docs_are_readable_topics_in_sorted_order() -> None:
    text = python_docs()
    assert text == python_docs()
    assert len(text) > 200_000 and text.endswith("\n") and "\r" not in text
    places = [text.index(title) for title in ('The "assert" statement\n***', 'The "while" statement\n***')]
    assert places == sorted(places)


def test_an_interpreter_without_its_docs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydoc_data", None)
    with pytest.raises(CorpusError, match=r"without its help topics .*: use another corpus"):
        python_docs()


def test_the_code_is_a_few_million_characters_of_the_library_and_the_same_each_time() -> None:
    text = python_code()
    assert text == python_code()
    assert 1_000_000 < len(text) <= CODE_CHARS
    assert "\r" not in text and "\0" not in text
    for name in ("abc.py", "json/decoder.py", "json/__init__.py", "textwrap.py"):
        assert f"# {name}\n\n" in text
    for name in ("test/", "/tests/", "site-packages", "_sysconfigdata", "idlelib"):
        assert f"\n# {name}" not in text


def test_code_is_sorted_and_stands_under_its_name(tmp_path: Path) -> None:
    root = library(tmp_path, b="b = 1\n", json__z="z = 1\n", a="\na = 1\r\n\n")
    assert python_code(root=root) == "# a.py\n\na = 1\n\n# b.py\n\nb = 1\n\n# json/z.py\n\nz = 1\n\n"


def test_tests_tables_empty_files_and_what_is_not_utf8_are_left_out(tmp_path: Path) -> None:
    root = library(
        tmp_path,
        a="a = 1",
        json__tests__b="b = 1",
        test__c="c = 1",
        _sysconfigdata_x="d = '/home/builder'",
        sitecustomize="e = 1",
        empty="\n",
        old=b"# \xe9",
        table="f = 1\n" * 20_000,
    )
    assert python_code(root=root) == "# a.py\n\na = 1\n\n"


def test_the_limit_holds_and_files_are_never_cut(tmp_path: Path) -> None:
    root = library(tmp_path, a="a = 1", b="b = 1" * 100, c="c = 1")
    both = "# a.py\n\na = 1\n\n# c.py\n\nc = 1\n\n"
    assert python_code(limit=len(both), root=root) == both
    assert python_code(limit=len(both) - 1, root=root) == "# a.py\n\na = 1\n\n"


def test_an_interpreter_without_its_sources_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"without its library's sources: use another corpus"):
        python_code(root=tmp_path)
