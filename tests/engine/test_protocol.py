import json
import math
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import protocol as p

REQUESTS = [
    p.Load("tales"),
    p.Load("tales", "1200"),
    p.Generate(
        1, "Once\n\x1b[31m\u2028 \ud800", {"temperature": 0.5, "top_k": 40}, 2**64 - 1, 500, ("\n\n",), 12.5
    ),
    p.Generate(0, ""),
    p.Generate(3, "x", chars_per_s=0.0),
    p.Set(1, {"temperature": 0.0}),
    p.Set(1, {}),
    p.Pace(1, None),
    p.Pace(1, 0.0),
    p.Step(1),
    p.Stop(1),
    p.Explain("Once", 4, 9, {"min_p": 0.1}),
    p.Score("Once", 9),
    p.Follow("tales"),
    p.Follow(None),
    p.Quit(),
]
SYMBOLS = (p.Symbol("a", 0.5, 0.75), p.Symbol("\n", 0.25, 0.25))
REPLIES = [
    p.Ready("tales", 1200, "modern", 100, 65, 128, {"user": "> ", "model": "< "}, 1.5, ("Skipped it.",)),
    p.Ready("tales", 0, "ngram", 0, 1, 1),
    p.Started(1, 4, {"temperature": 0.8, "top_k": 0}, (p.Replaced(2, "ï", "i"),)),
    p.Text(1, 4, (p.Char("a", 1.0, 0.5, 0), p.Char("", 0.5, 0.25, 3)), 2),
    p.Dist(1, 5, SYMBOLS, p.Rest(63, 0.25, 0.0), (p.StageReport("top_k", 60, 0.25),)),
    p.Dist(1, 5, SYMBOLS),
    p.Changed(1, 5, {"temperature": 0.0}, 3),
    p.Changed(1, 5, {"chars_per_s": None}, 3),
    p.Changed(None, None, {"weights": 1300}),
    p.Done(1, "max"),
    p.Explained(9, 4, 4, None, SYMBOLS, None, ()),
    p.Scored(9, ("O", "n"), (0.5, None), 2, None, None, (p.Replaced(2, "ï", ""),)),
    p.Error(None, "It is wrong."),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda r: type(r).__name__)
def test_every_request_survives_its_line(request_):
    line = p.to_line(request_)
    assert p.parse_request(line) == request_
    assert line.isascii() and line.index(b"\n") == len(line) - 1
    assert json.loads(line)["v"] == p.VERSION


@pytest.mark.parametrize("reply", REPLIES, ids=lambda r: type(r).__name__)
def test_every_reply_survives_its_line(reply):
    line = p.to_line(reply)
    assert p.parse_reply(line) == reply
    assert line.isascii() and line.index(b"\n") == len(line) - 1


def test_the_wire_looks_as_documented():
    assert json.loads(p.to_line(p.Set(7, {"temperature": 0.5}))) == {
        "do": "set",
        "v": 1,
        "id": 7,
        "temperature": 0.5,
    }
    assert json.loads(p.to_line(p.Text(7, 2, (p.Char("a", 1.0, 0.5, 1),), 0))) == {
        "event": "text",
        "v": 1,
        "id": 7,
        "start": 2,
        "chars": [{"c": "a", "p": 1.0, "raw": 0.5, "rank": 1}],
        "settings_version": 0,
    }


def test_what_is_left_out_has_its_default_and_a_version_may_be_left_out_too():
    assert p.parse_request(b'{"do":"generate","id":1,"text":"a"}') == p.Generate(1, "a")
    assert p.parse_request(b' {"do":"load","run":"tales","at":1200} \r\n') == p.Load("tales", "1200")


def test_numbers_that_are_not_finite_travel_as_null():
    line = p.to_line(p.Scored(1, ("a",), (math.inf,), 1, math.inf, math.nan))
    assert p.parse_reply(line) == p.Scored(1, ("a",), (None,), 1, None, None)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"", "one JSON object"),
        (b"hello", "one JSON object"),
        (b"[1]", "one JSON object"),
        (b"null", "one JSON object"),
        (b"\xff\xfe", "one JSON object"),
        (b'{"do":"quit"', "one JSON object"),
        (b"[" * 100_000, "one JSON object"),
        (b'{"do":"pace","id":1,"chars_per_s":NaN}', "one JSON object"),
        (b'{"do":"step","id":' + b"9" * 5000 + b"}", "one JSON object"),
        (b" " * (p.MAX_LINE + 1), "bytes"),
        (b'{"id":1}', '"do"'),
        (b'{"do":1}', '"do"'),
        (b'{"event":"done","id":1,"reason":"max"}', '"do"'),
        (b'{"do":"dance"}', "no message 'dance'"),
        (b'{"do":"quit","v":2}', "version"),
        (b'{"do":"quit","v":true}', "version"),
        (b'{"do":"quit","why":1}', "no field 'why'"),
        (b'{"do":"load"}', "run is missing"),
        (b'{"do":"load","run":5}', "run must be text"),
        (b'{"do":"load","run":"a","at":"newest"}', "at must be best, last or a step"),
        (b'{"do":"load","run":"a","at":-1}', "at must be"),
        (b'{"do":"step","id":1.0}', "id must be a whole number"),
        (b'{"do":"step","id":true}', "id must be a whole number"),
        (b'{"do":"step","id":-1}', "id must be a whole number"),
        (b'{"do":"generate","id":1,"text":"a","seed":-1}', "seed must be"),
        (b'{"do":"generate","id":1,"text":"a","seed":18446744073709551616}', "seed must be"),
        (b'{"do":"generate","id":1,"text":"a","max":1.5}', "max must be"),
        (b'{"do":"generate","id":1,"text":"a","stop":"b"}', "stop must be a list"),
        (b'{"do":"generate","id":1,"text":"a","stop":[1]}', "stop must be text"),
        (b'{"do":"generate","id":1,"text":"a","sampler":[]}', "sampler must be an object"),
        (b'{"do":"generate","id":1,"text":"a","sampler":{"top_p":"x"}}', "sampler must be a number"),
        (b'{"do":"set","id":1,"temperature":true}', "sampler must be a number"),
        (b'{"do":"set","temperature":1}', "id is missing"),
        (b'{"do":"pace","id":1}', "chars_per_s is missing"),
        (b'{"do":"pace","id":1,"chars_per_s":-1}', "chars_per_s must be"),
        (b'{"do":"pace","id":1,"chars_per_s":1e400}', "chars_per_s must be"),
        (b'{"do":"explain","text":"a","at":"b"}', "at must be a whole number"),
    ],
)
def test_a_wrong_request_is_one_clear_error(line, says):
    with pytest.raises(p.ProtocolError) as refused:
        p.parse_request(line)
    assert says in str(refused.value) and len(str(refused.value)) < 300


@pytest.mark.parametrize(
    "line",
    [
        b'{"event":"text","id":1,"start":0,"chars":[{"c":"a"}],"settings_version":0}',
        b'{"event":"text","id":1,"start":0,"chars":[1],"settings_version":0}',
        b'{"event":"dist","id":1,"at":0,"symbols":[{"c":"a","raw":2,"final":0}]}',
        b'{"event":"changed","id":1,"at":0,"settings":{"temperature":"hot"}}',
        b'{"event":"ready","run":"a","step":1,"arch":"x","params":1,"vocab":1,"block_size":1,"turns":[1]}',
        b'{"do":"quit"}',
    ],
)
def test_a_wrong_reply_is_an_error_too(line):
    with pytest.raises(p.ProtocolError):
        p.parse_reply(line)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = [
    "id",
    "text",
    "run",
    "at",
    "sampler",
    "seed",
    "max",
    "stop",
    "chars_per_s",
    "chars",
    "settings",
    "v",
]
NAMES = [type(message).__name__.lower() for message in REQUESTS + REPLIES]


@settings(max_examples=500, deadline=None)
@given(
    st.sampled_from(["do", "event"]),
    st.sampled_from(NAMES) | json_values,
    st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=3), json_values, max_size=6),
)
def test_no_json_object_can_do_more_than_be_refused(key, name, rest):
    line = json.dumps({key: name, **rest}).encode()
    for parse in (p.parse_request, p.parse_reply):
        try:
            message = parse(line)
        except p.ProtocolError as error:
            assert "\n" not in str(error)
        else:
            assert p.to_line(message).endswith(b"\n")
    assert p.request_id(line) is None or p.request_id(line) == rest["id"]


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_can_do_more_than_be_refused(line):
    for parse in (p.parse_request, p.parse_reply):
        with pytest.raises(p.ProtocolError):
            parse(line)
    p.request_id(line)


def test_a_request_that_cannot_be_parsed_still_tells_whose_it_is():
    assert p.request_id(b'{"do":"pace","id":5,"chars_per_s":"fast"}') == 5
    assert p.request_id(b'{"do":"pace","id":"5"}') is None
    assert p.request_id(b"pace 5") is None


def test_talking_to_the_player_needs_neither_torch_nor_numpy():
    code = "import sys, engine.protocol; print([m for m in ('torch', 'numpy') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"
