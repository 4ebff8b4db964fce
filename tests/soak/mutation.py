"""Hostile variations of sound files, the same for the same dice: bytes, JSON by its structure, headers of safetensors, rows of tables.

Everything is drawn from one `random.Random`, so a case is repeated by its seed. Left out: who reads them (`tests.soak.loaders`).
"""

from __future__ import annotations

import copy
import json
import random
from typing import Any

# JSON as it is written, whatever Python would make of it: numbers no float holds, words that are none, depths no stack has.
TOKENS = (
    "0", "-1", "1", "2", "-0", "0.5", "-0.0", "1e-320", "1e15", "1e16", "1e300", "1e308", "-1e308", "1e999", "-1e999",
    "NaN", "Infinity", "-Infinity", "9007199254740993", "2147483648", "4294967296", "9223372036854775807", "9223372036854775808",
    "18446744073709551616", "-9223372036854775809", "1" + "0" * 40, "1" + "0" * 308, "1" + "0" * 400, "-1" + "0" * 400,
    "9" * 4299, "9" * 4301, "0." + "3" * 500, "true", "false", "null", '""', "[]", "{}", "[[]]", '{"":{}}',
    '"\\ud800"', '"\\udfff\\ud800"', '"\\u0000"', '"\\u001b]52;c;eA==\\u0007"', '"\\u202e[/][bold]"', '"../../outside/secret"',
    '"/etc/passwd"', '"..\\u0000"', '"' + "x" * 300 + '"', '"' + "é" * 20_000 + '"', '"best"', '"last"', '"training"', '"done"', '"ngram"',
    '"modern"', '"2026-01-01T00:00:00+00:00"', '"0001-01-01T00:00:00+23:59"', '"9999-12-31T23:59:59-23:59"', '"bpe"', '"uint8"', '"O"',
    "[" * 40 + "]" * 40, "[" * 70 + "]" * 70, "[" * 480 + "]" * 480, "[" * 900 + "]" * 900, "[" * 20_000 + "]" * 20_000,
    '{"a":' * 330 + "1" + "}" * 330, '{"a":' * 700 + "1" + "}" * 700, "[" + "{}," * 999 + "{}]", "[" + "1," * 5000 + "1]",
)  # fmt: skip
_MARK = "\x02\x03"  # around the number of a token that is put in afterwards


def bytes_of(dice: random.Random, data: bytes, most: int = 4) -> bytes:
    """`data` with some bytes flipped, cut, moved, doubled, zeroed or put in between."""
    changed = bytearray(data)
    for _ in range(dice.randint(1, most)):
        at = dice.randrange(len(changed) + 1)
        size = min(dice.choice((1, 1, 2, 4, 8, 16, 64, 512)), len(changed) - at)
        kind = dice.randrange(9)
        if kind == 0 and at < len(changed):
            changed[at] ^= 1 << dice.randrange(8)
        elif kind == 1 and at < len(changed):
            changed[at] = dice.choice((0, 0x7F, 0x80, 0xFF, 0x0A, 0x22, 0x5B, 0x7B, dice.randrange(256)))
        elif kind == 2:
            del changed[at:]
        elif kind == 3:
            del changed[at : at + size]
        elif kind == 4:
            changed[at:at] = dice.randbytes(size or 1)
        elif kind == 5:  # a piece of itself somewhere else
            start = dice.randrange(len(changed) + 1)
            changed[at : at + dice.choice((0, size))] = changed[start : start + size]
        elif kind == 6:
            changed[at : at + size] = bytes(size)
        elif kind == 7:
            changed[at : at + size] = dice.choice((b"\xff", b"\x80", b"\x00")) * size
        else:
            changed += dice.choice((b"\n", b"\0" * 100, b"{}", bytes(changed[:200]), dice.randbytes(20)))
    return bytes(changed)


def json_of(dice: random.Random, value: Any, most: int = 3) -> bytes:
    """The JSON of `value` with some of its parts replaced, removed, doubled or exchanged; sometimes with its bytes changed as well."""
    value = copy.deepcopy(value)
    tokens: list[str] = []
    for _ in range(dice.randint(1, most)):
        value = _changed(dice, value, tokens)
    text = json.dumps(value, ensure_ascii=dice.random() < 0.8)
    for number, token in enumerate(tokens):
        text = text.replace(json.dumps(f"{_MARK}{number}{_MARK}"), token)
    data = text.encode("utf-8", "surrogatepass")
    return bytes_of(dice, data, 2) if dice.random() < 0.15 else data


def lines_of(dice: random.Random, lines: list[dict[str, Any]]) -> bytes:
    """Lines of JSON of which some are changed, doubled, out of order, torn or no lines at all."""
    found = []
    for line in lines:
        if dice.random() < 0.5:
            found.append(json.dumps(line).encode())
        else:
            found.append(json_of(dice, line, 2).replace(b"\n", b" "))
    for _ in range(dice.randrange(3)):
        at = dice.randrange(len(found))
        found.insert(
            dice.randrange(len(found) + 1), dice.choice((found[at], b"", b"\0" * 50, dice.randbytes(30)))
        )
    if dice.random() < 0.3:
        dice.shuffle(found)
    data = b"\n".join(found) + dice.choice((b"\n", b"\n", b"", b"\r\n"))
    return bytes_of(dice, data, 3) if dice.random() < 0.2 else data


def safetensors_of(dice: random.Random, data: bytes) -> bytes:
    """A file of tensors whose header lies: about lengths, offsets, shapes, dtypes and names."""
    length = int.from_bytes(data[:8], "little")
    header, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    if not header or dice.random() < 0.2:
        return bytes_of(dice, data)
    if dice.random() < 0.3:
        return _other_tensors(dice, header, body)
    for _ in range(dice.randint(1, 3)):
        name = dice.choice(list(header))
        entry = header[name]
        kind = dice.randrange(8)
        if kind == 0:
            entry["shape"] = dice.choice(_SHAPES)
        elif kind == 1:
            entry["dtype"] = dice.choice(_DTYPES)
        elif kind == 2:
            entry["data_offsets"] = [dice.choice(_OFFSETS), dice.choice((len(body), *_OFFSETS))]
        elif kind == 3:
            header[dice.choice(_NAMES)] = copy.deepcopy(entry)
        elif kind == 4:
            del header[name]
            if not header:
                header = {"a": entry}
        elif kind == 5:
            entry[dice.choice(("shape", "dtype", "data_offsets", "more"))] = dice.choice(
                (None, -1, "x", [], {}, [[]], 1e300, True)
            )
        elif kind == 6:
            header["__metadata__"] = dice.choice(
                ({"format": "pt"}, {"a": 1}, [], "x", {"a": {"b": "c"}}, {"": "\ud800"})
            )
            break
        else:
            body = bytes_of(dice, body, 1)
    text = json_of(dice, header, 1) if dice.random() < 0.25 else json.dumps(header).encode()
    text += b" " * dice.randrange(9)
    told = (
        len(text)
        if dice.random() < 0.9
        else dice.choice((0, 1, len(text) - 1, len(text) + 1, 10**6, 2**31, 2**63, 2**64 - 1))
    )
    return max(0, told).to_bytes(8, "little") + text + body


def _other_tensors(dice: random.Random, header: dict[str, Any], body: bytes) -> bytes:
    """The same bytes as other tensors, of which the header says nothing wrong: any dtypes, any shapes that fit, no values at all."""
    names = [name for name in header if name != "__metadata__"] + ["a", "weights.a", ""][: dice.randrange(4)]
    names = list(dict.fromkeys(names)) or ["a"]
    dice.shuffle(names)
    parts: dict[str, Any] = {}
    at = 0
    odd = dice.random() < 0.3  # else everything is such that one can compute with it
    for number, name in enumerate(names):
        dtype = dice.choice([one for one in _SIZES if odd or not one.startswith("F8")])
        size = _SIZES[dtype]
        left = (len(body) - at) // size
        count = left if number == len(names) - 1 else dice.choice((0, 1, left // 2, min(left, 9)))
        ones = [1] * dice.choice((0, 1, 7, 8, 63, 64, 65) if odd else (0, 0, 1))
        shape = [count, *ones] if count else [*ones, 0, dice.choice((1, 7, 2**31, 2**62))]
        parts[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + count * size]}
        at += count * size
    text = json.dumps(parts).encode()
    return len(text).to_bytes(8, "little") + text + body[:at]


def toml_of(dice: random.Random, text: str) -> bytes:
    """A settings file with lines doubled, moved, renamed or with other values."""
    lines = text.splitlines()
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(lines))
        kind = dice.randrange(7)
        if kind <= 2 and "=" in lines[at]:
            lines[at] = f"{lines[at].partition('=')[0]}= {dice.choice(_TOML)}"
        elif kind == 3:
            lines.insert(dice.randrange(len(lines) + 1), lines[at])
        elif kind == 4:
            del lines[at]
            lines = lines or ["# nothing"]
        elif kind == 5:
            lines.insert(at, dice.choice(_TOML_LINES))
        else:
            dice.shuffle(lines)
    data = dice.choice(("\n", "\n", "\r\n")).join(lines).encode("utf-8", "surrogatepass")
    return bytes_of(dice, data, 3) if dice.random() < 0.3 else data


def _changed(dice: random.Random, value: Any, tokens: list[str]) -> Any:
    """`value` with one part of it changed; tokens are noted and stand as marks."""
    places = list(_places(value))
    kind = dice.randrange(10)
    if kind <= 5 or not places:
        tokens.append(dice.choice(TOKENS))
        new: Any = f"{_MARK}{len(tokens) - 1}{_MARK}"
    else:
        new = copy.deepcopy(_any_part(dice, places))
    if not places:
        return new
    holder, key = dice.choice(places)
    if kind == 7:
        del holder[key]
    elif kind == 8 and isinstance(holder, dict):
        holder[dice.choice((f"{key}2", "", "__class__", "\ud800", "x" * 5000, "a\nb"))] = new
    elif kind == 9 and isinstance(holder, list):
        holder.insert(key, new)
    else:
        holder[key] = new
    return value


def _any_part(dice: random.Random, places: list[tuple[Any, Any]]) -> Any:
    holder, key = dice.choice(places)
    return holder[key]


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every place in a value: what holds it, and under which key."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    found = [(value, key) for key in keys]
    for key in keys:
        found += _places(value[key])
    return found


_SHAPES: tuple[Any, ...] = (
    [], [0], [1], [2**62, 0], [0, 2**62], [2**32, 2**32], [-1], [2**63], [10**30], [1] * 70, [8, 8, 8], [True], [1.5], ["8"], None, 8,
)  # fmt: skip
_DTYPES: tuple[Any, ...] = (
    "F32", "F64", "F16", "BF16", "I8", "U8", "I16", "U16", "I32", "U32", "I64", "U64", "BOOL", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F4", "F6_E2M3",
    "C64", "PICKLE", "", None, 7,
)  # fmt: skip
_SIZES = {
    "F32": 4, "F64": 8, "F16": 2, "BF16": 2, "I8": 1, "U8": 1, "I16": 2, "U16": 2, "I32": 4, "U32": 4, "I64": 8, "U64": 8, "BOOL": 1,
    "F8_E4M3": 1, "C64": 8,
}  # fmt: skip
_OFFSETS: tuple[Any, ...] = (0, 1, 3, 4, 64, 256, -4, 2**31, 2**63, 2**64, 10**30, 0.5, None, "0")
_NAMES = (
    "a",
    "",
    "__metadata__",
    "../../outside/secret",
    "\ud800",
    "weights.a",
    "x" * 3000,
    "lm_head.weight.exponent",
    "keys_9",
)
_TOML = (
    "0", "-1", "1e400", "nan", "-inf", "9" * 4301, "0x" + "f" * 4000, "0b" + "1" * 20_000, "0o" + "7" * 6000, "1e-400", "true", '""', "'''\n'''",
    '"\\u0000"', '"\\ud800"', "[]", "{}", "[" * 200 + "]" * 200, "[" * 5000, "{a.b.c = 1}", "1979-05-27T07:32:00Z", "07:32:00", "2026-13-01",
    '"' + "x" * 3000 + '"', '"auto"', '"2m"', '"99999999999h"', "0.5", "60", "[1, 2]", "{play = {stop = 1}}", '{"play.stop" = "x"}', "1_000",
    "0x10", "+5", "-0",
)  # fmt: skip
_TOML_LINES = (
    "[train]", "[[train]]", "[train.time]", "[ui.keys.play]", "[ui]", "version = 2", "version = 0x" + "f" * 4000, "[sample] # again", "a.b.c = 1",
    "[a.b.c]", "[[a.b]]", "[a]", 'train.time = "1m"', "ui.keys.x = 'y'", "\ufeff", "=", "[", "]]", '"" = 1', "[" + "a." * 300 + "a]",
    "k." * 500 + "k = 1", "'''", '"""', "#" + "x" * 500, "\x00", "\x1b[31m = 1", "[sample.temperature]", 'temperature = "hot"', "[version]",
)  # fmt: skip
