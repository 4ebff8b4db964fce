"""Text to ids and back: round trips over all of Unicode, replacements, streaming, hostile files."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import bpe
from engine.errors import CheckpointError, CorpusError, UsageError
from engine.tokenizer import (
    MAX_SYMBOLS,
    ByteTokenizer,
    CharTokenizer,
    Replacement,
    Tokenizer,
    distinct_code_points,
    relative,
    tokenizer_from_json,
    train_tokenizer,
)

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()))  # lone surrogates too
UTF8_TEXT = st.text(st.characters(codec="utf-8"))
STORY = "the cat sat on the mat. the cat saw the other cat.\nNaïve café, 日本語 — “yes”!\n" * 20
BPE = train_tokenizer("bpe", STORY, 290)
ALL = [train_tokenizer("chars", STORY), ByteTokenizer(), BPE]


def streamed(tokenizer: Tokenizer, ids: Any) -> str:
    decoder = tokenizer.decoder()
    return "".join(decoder.push(int(i)) for i in ids) + decoder.flush()


@settings(deadline=None)
@given(UTF8_TEXT.filter(bool))
def test_characters_round_trip_with_ids_in_code_point_order(text: str) -> None:
    tokenizer = train_tokenizer("chars", text)
    encoding = tokenizer.encode(text)
    assert encoding.replaced == ()
    assert encoding.ids.dtype == np.int64
    assert tokenizer.decode(encoding.ids) == text == streamed(tokenizer, encoding.ids)
    assert encoding.ids.tolist() == [sorted(set(text)).index(c) for c in text]
    assert "".join(tokenizer.symbol(i) for i in range(tokenizer.vocab_size)) == "".join(sorted(set(text)))


@settings(deadline=None)
@given(UTF8_TEXT)
def test_bytes_and_bpe_round_trip_every_text(text: str) -> None:
    for tokenizer in (ByteTokenizer(), BPE):
        encoding = tokenizer.encode(text)
        assert encoding.replaced == ()
        assert tokenizer.decode(encoding.ids.tolist()) == text == streamed(tokenizer, encoding.ids)
    assert bytes(ByteTokenizer().encode(text).ids.tolist()) == text.encode()


@pytest.mark.parametrize("tokenizer", ALL, ids=lambda t: t.kind)
def test_encoding_never_raises_and_reports_each_change(tokenizer: Tokenizer) -> None:
    @settings(deadline=None)
    @given(ANY_TEXT)
    def check(text: str) -> None:
        encoding = tokenizer.encode(text)
        expected, known_until = [], 0
        for r in encoding.replaced:
            assert text[r.position] == r.char
            expected += [text[known_until : r.position], r.by]
            known_until = r.position + 1
        assert tokenizer.decode(encoding.ids) == "".join(expected) + text[known_until:]

    check()


def test_code_points_from_all_planes_can_be_encoded_by_an_english_vocabulary() -> None:
    every = "".join(map(chr, range(0, sys.maxunicode + 1, 19))) + "ÉＡ日\ud800"
    tokenizer = CharTokenizer.train('The quick brown fox jumps over the lazy dog\'s "back", 1-2.\n')
    encoding = tokenizer.encode(every)
    assert len(encoding.replaced) == sum(char not in tokenizer.symbols for char in every)
    by = {r.char: r.by for r in encoding.replaced}
    assert (by["É"], by["Ａ"], by["日"], by["\ud800"]) == ("e", "a", "", "")


@pytest.mark.parametrize(
    ("char", "known", "by"),
    [
        ("A", "a", "a"),
        ("a", "A", "A"),
        ("é", "eEÉ", "É"),
        ("é", "e", "e"),
        ("É", "e", "e"),
        ("ﬁ", "fi", "fi"),
        ("ﬁ", "FI", "FI"),
        ("ﬁ", "f", ""),
        ("Ｋ", "kK", "K"),
        ("\u212b", "AaåÅ", "Å"),
        ("ǆ", "dzž", "dž"),
        ("²", "2", "2"),
        ("½", "12/", "1/2"),
        ("…", ".", "..."),
        ("’", "'", "'"),
        ("'", "’", "’"),
        ("“", '"', '"'),
        ("“", "'", "'"),
        ("—", "-", "-"),
        ("-", "—", "—"),
        ("\u00a0", " ", " "),
        ("\t", " ", " "),
        ("\u2028", "\n", "\n"),
        ("ß", "s", "ss"),
        ("Æ", "ae", "ae"),
        ("ø", "o", "o"),
        ("\u0301", "abc", ""),
        ("\r", "\n ", ""),
        ("日", "abc", ""),
        ("\ud800", "abc", ""),
    ],
)
def test_unknown_characters_become_their_closest_known_relative(char: str, known: str, by: str) -> None:
    assert relative(char, known) == by
    tokenizer = CharTokenizer("".join(sorted(known)))
    encoding = tokenizer.encode(known + char)
    assert encoding.replaced == (Replacement(len(known), char, by),)
    assert tokenizer.decode(encoding.ids) == known + by


def test_lone_surrogates_become_the_replacement_character_in_bytes() -> None:
    for tokenizer in (ByteTokenizer(), BPE):
        encoding = tokenizer.encode("é\udc80x\ud83d\ude00")
        assert [(r.position, r.by) for r in encoding.replaced] == [
            (1, "\ufffd"),
            (3, "\ufffd"),
            (4, "\ufffd"),
        ]
        assert tokenizer.decode(encoding.ids) == "é\ufffdx\ufffd\ufffd"


@pytest.mark.parametrize("tokenizer", ALL, ids=lambda t: t.kind)
def test_encode_corpus_gives_the_same_ids_in_16_bits(tokenizer: Tokenizer) -> None:
    for text in (STORY, ""):
        ids = tokenizer.encode_corpus(text)
        assert ids.dtype == np.uint16
        assert (ids == tokenizer.encode(text).ids).all()


def test_encode_corpus_names_the_first_unknown_character() -> None:
    with pytest.raises(CorpusError, match="'z' at position 2"):
        train_tokenizer("chars", "abc").encode_corpus("abzx")


def test_texts_longer_than_one_piece_are_encoded_and_counted_whole() -> None:
    text = "ab" * 50_000 + "é" * 100_000 + "c" + "日" * 3
    tokenizer = train_tokenizer("chars", text)
    assert tokenizer.decode(tokenizer.encode_corpus(text)) == text
    assert distinct_code_points(text).tolist() == sorted({ord(c) for c in text})
    encoding = tokenizer.encode(text + "x")
    assert encoding.replaced == (Replacement(len(text), "x", ""),)


def test_bpe_pieces_are_cut_where_no_token_reaches_across(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "one two\nthree  four\n\n  five\n six's\n\n\nseven\t\n8 9\n— “ten”\n" * 9
    tokenizer = train_tokenizer("bpe", text, 400)
    whole = tokenizer.encode(text).ids.tolist()
    monkeypatch.setattr(bpe, "PIECE", 5)
    assert len(list(bpe.pieces([text]))) > 20
    assert "".join(bpe.pieces([text])) == text
    assert tokenizer.encode(text).ids.tolist() == whole


@pytest.mark.parametrize("tokenizer", ALL, ids=lambda t: t.kind)
def test_ids_out_of_range_are_refused(tokenizer: Tokenizer) -> None:
    for bad in (-1, tokenizer.vocab_size, 2**70):
        with pytest.raises(ValueError):
            tokenizer.decode([0, bad])
        with pytest.raises(ValueError):
            tokenizer.symbol(bad)
        with pytest.raises(ValueError):
            tokenizer.decoder().push(bad)
    with pytest.raises(ValueError):
        tokenizer.decode(np.array([0, tokenizer.vocab_size]))
    with pytest.raises(ValueError):
        tokenizer.decode(np.array([-1]))
    assert tokenizer.decode([]) == tokenizer.decode(np.zeros(0, np.int64)) == ""


def test_the_stream_decoder_waits_for_whole_characters() -> None:
    tokenizer = ByteTokenizer()
    decoder = tokenizer.decoder()
    assert [decoder.push(b) for b in "a日😀".encode()] == ["a", "", "", "日", "", "", "", "😀"]
    assert decoder.flush() == ""
    assert [decoder.push(b) for b in "日".encode()[:2]] == ["", ""]
    assert decoder.flush() == "\ufffd"
    assert decoder.push(ord("b")) == "b"


@settings(deadline=None)
@given(st.lists(st.integers(0, 255)))
def test_streaming_equals_decoding_also_for_broken_bytes(ids: list[int]) -> None:
    tokenizer = ByteTokenizer()
    assert streamed(tokenizer, ids) == tokenizer.decode(ids) == bytes(ids).decode("utf-8", "replace")
    assert streamed(BPE, ids) == BPE.decode(ids)


def test_symbols_of_bytes_are_readable() -> None:
    assert [ByteTokenizer().symbol(i) for i in (65, 10, 0xE2)] == ["A", "\n", "\\xe2"]
    assert {" the", " cat"} <= {BPE.symbol(i) for i in range(BPE.vocab_size)}


def test_bpe_is_shorter_than_bytes_and_has_the_size_asked_for() -> None:
    assert BPE.vocab_size == 290
    assert len(BPE.encode(STORY).ids) < len(ByteTokenizer().encode(STORY).ids) / 2
    assert train_tokenizer("bpe", "ab").vocab_size <= 258  # no more pairs to merge


@pytest.mark.parametrize("tokenizer", ALL, ids=lambda t: t.kind)
def test_json_brings_back_the_same_tokenizer(tokenizer: Tokenizer) -> None:
    data = json.loads(json.dumps(tokenizer.to_json()))
    again = tokenizer_from_json(data)
    assert (again.kind, again.vocab_size) == (tokenizer.kind, tokenizer.vocab_size)
    assert (again.encode(STORY).ids == tokenizer.encode(STORY).ids).all()
    assert again.to_json() == data


CHARS = {"version": 1, "kind": "chars", "symbols": "abc"}


@pytest.mark.parametrize(
    "data",
    [
        [],
        None,
        {},
        {**CHARS, "version": 0},
        {**CHARS, "version": 2},
        {**CHARS, "version": True},
        {**CHARS, "version": "1"},
        {**CHARS, "kind": "words"},
        {**CHARS, "kind": ["chars"]},
        {**CHARS, "symbols": ""},
        {**CHARS, "symbols": "aa"},
        {**CHARS, "symbols": "ba"},
        {**CHARS, "symbols": "a\ud800"},
        {**CHARS, "symbols": ["a", "b"]},
        {**CHARS, "symbols": None},
        {**CHARS, "symbols": "".join(map(chr, range(0x10000, 0x10000 + MAX_SYMBOLS + 1)))},
        {**CHARS, "more": 1},
        {"version": 1, "kind": "chars"},
        {"version": 1, "kind": "bytes", "symbols": "abc"},
        {"version": 1, "kind": "bpe", "tokenizer": {}},
    ],
)
def test_hostile_tokenizer_files_get_a_sentence(data: Any) -> None:
    with pytest.raises(CheckpointError, match=r"^The tokenizer file .*; .*\.$"):
        tokenizer_from_json(data)


def broken_bpe(**changes: Any) -> str:
    """The JSON of a good BPE with some of its parts exchanged: model__vocab=... sets ["model"]["vocab"]."""
    data = json.loads(str(BPE.to_json()["tokenizer"]))
    for path, value in changes.items():
        *parents, last = path.split("__")
        node = data
        for parent in parents:
            node = node[parent]
        node[last] = value
    return json.dumps(data)


VOCAB = json.loads(str(BPE.to_json()["tokenizer"]))["model"]["vocab"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        "[]",
        "{}",
        "[" * 100_000,
        broken_bpe() + " " * 20_000_000,
        broken_bpe(model=None),
        broken_bpe(model__type="Unigram"),
        broken_bpe(model__vocab={}),
        broken_bpe(model__vocab=[]),
        broken_bpe(model__vocab={**VOCAB, "a": 2**40}),
        broken_bpe(model__vocab={**VOCAB, "a": -1}),
        broken_bpe(model__vocab={**VOCAB, "a": VOCAB["b"]}),
        broken_bpe(model__vocab={**VOCAB, "a": "1"}),
        broken_bpe(model__vocab={**VOCAB, "日本": len(VOCAB)}),
        broken_bpe(model__vocab={**VOCAB, "": len(VOCAB)}),
        broken_bpe(
            model__vocab={k: v for k, v in VOCAB.items() if v != len(VOCAB) - 1} | {"zq": len(VOCAB) - 1}
        ),
        broken_bpe(model__vocab={"aa" if k == "a" else k: v for k, v in VOCAB.items()}, model__merges=[]),
        broken_bpe(model__merges=None),
        broken_bpe(model__merges=[["a"]]),
        broken_bpe(model__merges=[["a", 1]]),
        broken_bpe(model__merges=["a b c"]),
        broken_bpe(model__merges=[["q", "q"]]),
        broken_bpe(model__merges=[["qq", "qq"]]),
        broken_bpe(model__unk_token="a"),
        broken_bpe(model__dropout=0.5),
        broken_bpe(model__continuing_subword_prefix="##########"),
        broken_bpe(normalizer={"type": "Lowercase"}),
        broken_bpe(added_tokens=[{"id": 0, "content": "x"}]),
        broken_bpe(pre_tokenizer=None),
        broken_bpe(pre_tokenizer__add_prefix_space=True),
        broken_bpe(pre_tokenizer__use_regex=False),
        broken_bpe(pre_tokenizer={"type": "Split", "pattern": {"Regex": "(a+)+$"}}),
    ],
    ids=lambda text: f"{len(text)}-characters",
)
def test_hostile_bpe_files_get_a_sentence(text: str) -> None:
    with pytest.raises(CheckpointError, match=r"^The tokenizer file is damaged: .*; .*\.$"):
        tokenizer_from_json({"version": 1, "kind": "bpe", "tokenizer": text})


def test_merges_as_older_versions_of_the_library_wrote_them_are_read() -> None:
    merges = [" ".join(pair) for pair in json.loads(broken_bpe())["model"]["merges"]]
    again = tokenizer_from_json({"version": 1, "kind": "bpe", "tokenizer": broken_bpe(model__merges=merges)})
    assert (again.encode(STORY).ids == BPE.encode(STORY).ids).all()


def test_what_cannot_be_trained_is_refused() -> None:
    for kind in ("words", "Chars"):
        with pytest.raises(UsageError, match="chars, bytes, bpe"):
            train_tokenizer(kind, "abc")
    for kind in ("chars", "bytes"):
        with pytest.raises(UsageError, match="only that of bpe"):
            train_tokenizer(kind, "abc", 300)
    for size in (256, 65_537):
        with pytest.raises(UsageError, match="257 to 65,536"):
            train_tokenizer("bpe", "abc", size)
    for kind in ("chars", "bpe"):
        with pytest.raises(CorpusError, match="no characters"):
            train_tokenizer(kind, "")
    with pytest.raises(CorpusError, match="no characters"):
        train_tokenizer("chars", "\ud800\udfff")
    with pytest.raises(CorpusError, match="65,001 different characters"):
        train_tokenizer("chars", "".join(map(chr, range(0x10000, 0x10000 + MAX_SYMBOLS + 1))))


def test_a_missing_bpe_library_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(UsageError, match=r"pip install 'tinygpt-tui\[bpe\]'"):
        train_tokenizer("bpe", STORY)
    with pytest.raises(UsageError, match=r"pip install 'tinygpt-tui\[bpe\]'"):
        tokenizer_from_json(BPE.to_json())


def test_tokenizing_does_not_load_torch() -> None:
    code = "import sys, engine.bpe, engine.tokenizer; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
