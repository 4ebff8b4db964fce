"""A session as a file: `txt` is exact, `md` is Markdown that no text and no name can break out of, `jsonl` holds everything.

What Markdown means is judged by a reader of Markdown that is none of ours.
"""

from __future__ import annotations

import json
import math
from array import array
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.tinygpt_tui.test_session import change, type_, write
from tinygpt_tui import __version__
from tinygpt_tui.files import write_new
from tinygpt_tui.play.export import export, jsonl
from tinygpt_tui.play.passage import Change
from tinygpt_tui.play.session import Session
from tinygpt_tui.safe_text import safe_line, safe_text

nasty = st.sampled_from(
    [
        "~~~", "~~~~~~\n", "\n~~~\n", "\r~~~\r", "   ~~~", "```", "`", "``", "**", "*", "_", "\n# Head\n", "\n\n", "\n- ", "> ",
        "<script>alert(1)</script>", "<!--", "-->", "<b", "&lt;", "![](http://x)", "[a](javascript:b)", "http://a.de", "|-|", "\\",
        "    ", "\t", "\x00", "\x1b[31m", "\x7f", "\x9b", "\ud800", "\udfff", "\u202e", "\u2028", "\x0c", "\r\n", "é🦊", "a",
    ]
)  # fmt: skip
texts = st.lists(nasty | st.text(st.characters(), max_size=3), max_size=10).map("".join)
pieces = st.lists(
    st.tuples(st.booleans(), texts, texts), max_size=5
)  # whether it was typed, its text, the run
Acts = list[tuple[bool, str, str]]

READERS = (MarkdownIt("commonmark", {"html": True}), MarkdownIt("gfm-like", {"html": True}))


def session_of(acts: Acts) -> Session:
    session = Session()
    for typed, text, run in acts:
        if typed:
            type_(session, text)
        else:
            write(session, text, run=run)
    return session


def fences(tokens: list[Token]) -> list[Token]:
    return [token for token in tokens if token.type == "fence"]


def inline(tokens: list[Token]) -> list[list[tuple[str, str]]]:
    return [
        [(part.type, part.content) for part in token.children or ()] for token in tokens if token.children
    ]


def read(exported: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The lines of a jsonl export, as a strict reader takes them: the session and its passages."""

    def refuse(constant: str) -> float:
        raise AssertionError(f"{constant} is not JSON")

    lines = [json.loads(line, parse_constant=refuse) for line in exported.split("\n")[:-1]]
    assert exported.endswith("\n") and exported.isascii()
    assert [line["event"] for line in lines] == ["session", *["passage"] * (len(lines) - 1)]
    return lines[0], lines[1:]


def text_of(line: dict[str, Any]) -> str:
    text = list(line["text"])
    for at, code in line.get("surrogates", ()):
        assert text[at] == "\ufffd"
        text[at] = chr(code)
    return "".join(text)


def rebuilt(exported: str) -> str:
    """The shown text, from the passages alone."""
    session, passages = read(exported)
    way = [passages[number] for number in session["shown"]]
    ends = [*(following["offset"] for following in way[1:]), None]
    return "".join(text_of(passage)[:end] for passage, end in zip(way, ends, strict=True))


def branched() -> Session:
    """Two rerolls, a branch in mid-text, tokens of several characters, changes, and an act that was taken back."""
    session = Session()
    type_(session, "Once ")
    write(session, "a fox", raw=0.25)
    write(session, "the cat", at=5, seed=8)
    passage = session.write("bpe-04", 1_200, 9, {"temperature": 0.8, "top_k": 0, "chars_per_s": 30}, at=8)
    for text, raw in ((" small", 0.5), ("", 0.125), ("é", 0.25)):
        passage.append(text, 0.9, raw, 70_000)
    passage.changes.append(Change(1, {"temperature": 1.25, "top_k": 40}))
    passage.changes.append(Change(2, {"weights": 1_300}))
    passage.reason = "stopped"
    type_(session, "?")
    session.undo()
    return session


@given(pieces)
def test_txt_is_the_exact_text_and_nothing_else(acts: Acts) -> None:
    assert export(session_of(acts), "txt") == "".join(text for _, text, _ in acts)


def test_txt_is_exact_on_the_disk_too(tmp_path: Path) -> None:
    text = "a\r\nb\rc\x00\x1b[31m\ud800\udc00é🦊\n\n"
    write_new(tmp_path / "a.txt", export(session_of([(True, text, "")]), "txt"))
    assert (tmp_path / "a.txt").read_bytes() == text.encode("utf-8", "surrogatepass")


@pytest.mark.parametrize("kind", ["md", "jsonl"])
def test_the_other_formats_are_utf_8_whatever_the_text_holds(kind: str) -> None:
    session = session_of([(True, "\ud800 \udc00\x00", ""), (False, "x\udfff", "run\ud900")])
    assert export(session, kind).encode("utf-8").decode("utf-8")


@given(pieces)
@example([(True, "~~~~\n~~~~~", ""), (False, "```\n<script>\n~~~\n", "`<img src=x onerror=1>`\n# **")])
@example([(False, "a", ""), (False, "b", "``"), (False, "c", " \n "), (False, "d", "</strong><h1>")])
def test_md_holds_every_piece_in_a_block_that_nothing_breaks_out_of(acts: Acts) -> None:
    exported = export(session_of(acts), "md")
    shown = [act for act in acts if act[1]]
    for reader in READERS:
        tokens = reader.parse(exported)
        assert [fence.content for fence in fences(tokens)] == [safe_text(text) + "\n" for _, text, _ in shown]
        assert {fence.info for fence in fences(tokens)} <= {"text"}
        top = [token.type for token in tokens if token.level == 0 and token.nesting >= 0]
        expected = ["paragraph_open", "fence"] * len(shown)
        assert top == ["heading_open", *expected]
        allowed = {"text", "strong_open", "strong_close", "code_inline"}
        assert {kind for parts in inline(tokens) for kind, _ in parts} <= allowed


@given(texts)
@example("`")
@example("```` a ``b")
@example("<script>alert(1)</script>")
@example("")
def test_md_shows_the_name_of_a_run_as_it_is_and_it_does_nothing(run: str) -> None:
    exported = export(session_of([(False, "a fox", run)]), "md")
    name = safe_line(" ".join(run.split())) or "?"
    for reader in READERS:
        parts = inline(reader.parse(exported))[1]
        assert parts[:4] == [("text", ""), ("strong_open", ""), ("code_inline", name), ("strong_close", "")]
        assert [kind for kind, _ in parts[4:]] == ["text"]
        html = reader.render(exported)
        for tag in ("<script", "<img", "<h1>alert", "<a "):
            assert tag not in html


def test_md_says_how_each_piece_came_about() -> None:
    session = Session()
    type_(session, "Once ")
    passage = write(session, "ab", run="tales-03", step=1_200, seed=42, raw=0.5, min_p=0.05)
    change(passage, temperature=1.25)
    for c in "cd":
        passage.append(c, 1.0, 0.25, 0)
    type_(session, "?")
    assert export(session, "md") == (
        f"# A text written with tinygpt {__version__}\n\n"
        "**You typed**\n\n"
        "~~~text\nOnce \n~~~\n\n"
        "**`tales-03`** at step 1,200, temperature 0.8, top-k off, top-p off, min-p 0.05, repetition off, seed 42; "
        "4 characters, surprise before the sampler 1.040 nats per character\n\n"
        "* from character 3 of this piece on: `temperature 1.25`\n\n"
        "~~~text\nabcd\n~~~\n\n"
        "**You typed**\n\n"
        "~~~text\n?\n~~~\n"
    )


def test_md_lists_the_changes_within_a_piece_each_at_its_character() -> None:
    exported = export(branched(), "md")
    assert "* from character 7 of this piece on: `step 1,300 · temperature 1.25 · top-k 40`\n" in exported
    assert "chars" not in exported.replace("characters", ""), "the pace is no matter of the text"


def test_md_tells_the_settings_of_the_first_character_even_if_they_changed_before_it_was_drawn() -> None:
    session = Session()
    type_(session, "Once ")
    passage = write(session, "")
    change(passage, temperature=2.0, weights=1_300)
    for c in "ab":
        passage.append(c, 1.0, 0.5, 0)
    exported = export(session, "md")
    assert "at step 1,300, temperature 2, " in exported and "0.8" not in exported
    assert "from character" not in exported


def test_md_tells_of_a_piece_only_what_is_shown_of_it() -> None:
    session = Session()
    write(session, "ab", raw=0.5)
    passage = session.leaf
    change(passage, temperature=2.0)
    passage.append("c", 1.0, 0.001, 9)
    type_(session, "X", at=2)
    exported = export(session, "md")
    assert "\nab\n" in exported and "abc" not in exported and "from character" not in exported
    assert f"; 2 characters, surprise before the sampler {math.log(2):.3f} nats per character\n" in exported


@pytest.mark.parametrize(
    ("raw", "told"), [(1.0, "surprise before the sampler 0.000 nats"), (0.0, None), (math.nan, None)]
)
def test_md_tells_no_surprise_where_there_is_none_to_tell(raw: float, told: str | None) -> None:
    exported = export(session_of([]), "md")
    assert "surprise" not in exported
    session = Session()
    write(session, "a", raw=raw)
    exported = export(session, "md")
    assert "; 1 character" in exported and "characters" not in exported
    assert told in exported if told else "surprise" not in exported


@given(pieces)
@example([(True, "\ud83d\udc00 \ud83d", ""), (False, "\udc00\ud83d\udc00\ufffd", "\ud83d\udc00")])
@example([(True, "\u2028\x85\x0b\r\n", "")])
def test_jsonl_parses_line_by_line_and_gives_the_shown_text_again(acts: Acts) -> None:
    """Halves of characters, which JSON would join or a reader refuse, among them."""
    session = session_of(acts)
    exported = export(session, "jsonl")
    head, passages = read(exported)
    assert rebuilt(exported) == text_of(head) == session.text()
    assert len(exported.splitlines()) == 1 + len(session.all)
    assert [text_of(passage) for passage in passages] == ["", *(text for _, text, _ in acts)]
    for line in (head, *passages):
        line["text"].encode("utf-8")


def test_jsonl_holds_every_branch_whatever_is_shown() -> None:
    session = branched()
    assert session.text() == "Once the smallé"
    head, passages = read(export(session, "jsonl"))
    assert (head["v"], head["tinygpt"], head["shown"]) == (1, __version__, [0, 1, 3, 4])
    assert rebuilt(export(session, "jsonl")) == "Once the smallé"
    assert [passage["number"] for passage in passages] == [0, 1, 2, 3, 4, 5]
    assert [passage["text"] for passage in passages] == ["", "Once ", "a fox", "the cat", " smallé", "?"]
    assert [(passage["parent"], passage["offset"]) for passage in passages] == [
        (None, 0),
        (0, 0),
        (1, 5),
        (1, 5),
        (3, 3),
        (4, 7),
    ]
    assert [passage["kind"] for passage in passages] == [
        "typed",
        "typed",
        "written",
        "written",
        "written",
        "typed",
    ]
    for _ in range(3):
        session.switch(1)
        assert rebuilt(export(session, "jsonl")) == session.text()
        session.undo()
        session.undo()


def test_jsonl_holds_what_it_takes_to_write_a_text_again() -> None:
    session = branched()
    line = read(export(session, "jsonl"))[1][4]
    assert (line["run"], line["step"], line["seed"], line["reason"]) == ("bpe-04", 1_200, 9, "stopped")
    assert line["settings"] == {"temperature": 0.8, "top_k": 0, "chars_per_s": 30}
    assert line["changes"] == [
        {"token": 1, "settings": {"temperature": 1.25, "top_k": 40}},
        {"token": 2, "settings": {"weights": 1_300}},
    ]
    for token in range(3):
        drawn = dict(line["settings"])
        for one in line["changes"]:
            if one["token"] <= token:
                drawn |= one["settings"]
        assert drawn == session.all[4].settings_at(token)


def test_jsonl_holds_the_figures_of_every_token() -> None:
    line = read(export(branched(), "jsonl"))[1][4]
    assert (line["lengths"], line["rank"]) == ([6, 0, 1], [65_535] * 3)
    assert line["raw"] == [0.5, 0.125, 0.25]
    at, tokens = 0, []
    for length in line["lengths"]:
        tokens.append(line["text"][at : at + length])
        at += length
    assert tokens == [" small", "", "é"] and at == len(line["text"])


@given(st.lists(st.floats(width=32), max_size=20))
@example([0.8, 0.1, 1e-45, 16777217.0, 0.30000001192092896])
def test_jsonl_gives_every_probability_again_to_the_last_bit_and_no_number_as_null(raws: list[float]) -> None:
    session = Session()
    passage = session.write("tales", 1, 1, {})
    for raw in raws:
        passage.append("a", raw, raw, 0)
    line = read(export(session, "jsonl"))[1][1]
    for column in (line["p"], line["raw"]):
        expected = [raw if math.isfinite(raw) else None for raw in passage.raw]
        assert [None if p is None else array("f", [p])[0] for p in column] == expected


def test_jsonl_says_a_probability_in_the_digits_it_needs() -> None:
    session = Session()
    write(session, "ab", raw=0.8)
    assert '"raw": [0.8, 0.8]' in export(session, "jsonl")


def test_an_empty_session_can_be_exported() -> None:
    assert export(Session(), "txt") == ""
    assert export(Session(), "md") == f"# A text written with tinygpt {__version__}\n"
    assert rebuilt(export(Session(), "jsonl")) == ""


def test_an_export_changes_nothing_of_the_session() -> None:
    session = branched()
    before = (session.text(), session.shape, list(session.done), list(session.undone), len(session.all))
    for kind in ("txt", "md", "jsonl"):
        assert export(session, kind) == export(session, kind)
    assert (session.text(), session.shape, session.done, session.undone, len(session.all)) == before


def test_there_is_no_other_format() -> None:
    with pytest.raises(ValueError, match="'pdf'"):
        export(Session(), "pdf")


def test_a_jsonl_export_is_of_the_moment_it_was_asked_for_even_if_another_thread_makes_it_later() -> None:
    session = branched()
    make, expected = jsonl(session), export(session, "jsonl")
    write(session, " and more", at=3)
    type_(session, "!")
    assert make() == expected != export(session, "jsonl")
