"""The corpora that have a name: made by this program, found in the interpreter, or fetched on request.

The embedded ones work without a network from the first minute. The fetched ones are known by their length and
hash, so a file that arrives, by whatever way, is either exactly the known text or not used.

Left out: how each text is made (one module each), how it is fetched (`fetch`), how it is normalised
(`engine.corpus`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine.corpus import Turns
from engine.errors import CorpusError
from engine.printable import printable


@dataclass(frozen=True)
class Entry:
    """One corpus of the catalogue.

    Attributes:
        name: what a person types; `title` and `description` are for a list.
        kind: "embedded" works at once, "fetched" needs the network once.
        turns: the speaker marks of a conversation.
        licence: an SPDX name, or a few words.
        bytes, url, sha256: of the file a fetched corpus is; 0 and "" for an embedded one.
    """

    name: str
    title: str
    description: str
    kind: Literal["embedded", "fetched"]
    licence: str
    turns: Turns | None = None
    bytes: int = 0
    url: str = ""
    sha256: str = ""


_GITHUB = "https://raw.githubusercontent.com"

CATALOGUE: tuple[Entry, ...] = (
    Entry(
        "tales",
        "Tales",
        "short stories written by this program's own grammar, the same on every machine",
        "embedded",
        "MIT",
    ),
    Entry(
        "smalltalk",
        "Small talk",
        "short conversations with someone called Pip; a model that learns them can be chatted with",
        "embedded",
        "MIT",
        turns=Turns("You: ", "Pip: "),
    ),
    Entry(
        "tales-and-talk",
        "Tales and small talk",
        "both in one text, for a model that tells stories and answers; what the built-in starter learned",
        "embedded",
        "MIT",
        turns=Turns("You: ", "Pip: "),
    ),
    Entry(
        "sums",
        "Sums",
        "arithmetic, one sum a line; you see at once whether the model learned the rule",
        "embedded",
        "MIT",
    ),
    Entry(
        "python-docs",
        "Python documentation",
        "the language topics behind Python's own help(), from the interpreter that runs this program",
        "embedded",
        "PSF-2.0",
    ),
    Entry(
        "python-code",
        "Python code",
        "sources of Python's standard library, from the interpreter that runs this program",
        "embedded",
        "PSF-2.0",
    ),
    Entry(
        "tiny-shakespeare",
        "Tiny Shakespeare",
        "scenes from the plays, the corpus small language models are usually compared on",
        "fetched",
        "public domain",
        bytes=1_115_394,
        url=f"{_GITHUB}/karpathy/char-rnn/370cbcd448eb7daf32f21a6be560b70e0b33c4e3/data/tinyshakespeare/input.txt",
        sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
    ),
    Entry(
        "names",
        "Names",
        "32,033 first names, one a line; a model invents new ones within a minute",
        "fetched",
        "MIT; from public records of the US Social Security Administration",
        bytes=228_145,
        url=f"{_GITHUB}/karpathy/makemore/988aa59e4d8fefa526d06f3b453ad116258398d4/names.txt",
        sha256="0a30b5557f192f32ab962680889aac5f6fda0f4cecf40a6d0b5694f58ea8cc4d",
    ),
)


def find(name: str) -> Entry | None:
    """The entry of this name, if the catalogue has it."""
    return next((entry for entry in CATALOGUE if entry.name == name), None)


def entry(name: str) -> Entry:
    """The entry of this name.

    Raises:
        CorpusError: the catalogue has no such name.
    """
    if found := find(name):
        return found
    known = ", ".join(e.name for e in CATALOGUE)
    raise CorpusError(f"The catalogue has no corpus called {printable(name)}; it has {known}.")


def embedded_names() -> tuple[str, ...]:
    """The names that work without a network, in the catalogue's order."""
    return tuple(e.name for e in CATALOGUE if e.kind == "embedded")


def is_ready(entry: Entry, cache_dir: Path | None) -> bool:
    """Whether `text_of` gives the text now: an embedded one always, a fetched one once the cache has it."""
    from engine.catalogue import fetch

    return entry.kind == "embedded" or (cache_dir is not None and fetch.fetched(entry, cache_dir) is not None)


def text_of(name: str, cache_dir: Path | None) -> str:
    """The text of a corpus, made anew or read from the cache; never from the network.

    Raises:
        CorpusError: there is no such name, it has not been fetched yet, or this interpreter lacks it.
    """
    chosen = entry(name)
    if chosen.kind == "fetched":
        from engine.catalogue import fetch

        return fetch.read(chosen, cache_dir)
    # Imported when asked for: a grammar is a lot of words to load for someone who opens a file.
    if name == "tales":
        from engine.catalogue.tales import write_tales

        return write_tales()
    if name == "smalltalk":
        from engine.catalogue.smalltalk import write_smalltalk

        return write_smalltalk()
    if name == "tales-and-talk":
        from engine.catalogue.tales_and_talk import write_tales_and_talk

        return write_tales_and_talk()
    if name == "sums":
        from engine.catalogue.sums import write_sums

        return write_sums()
    from engine.catalogue import python_texts

    return python_texts.python_docs() if name == "python-docs" else python_texts.python_code()
