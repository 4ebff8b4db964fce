"""What stands for a character that a vocabulary lacks: the plain quote for the curly one, e for é.

Apart from the tokenizers, so that whoever only tells a person about it needs no numpy.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Container, Iterator

# Characters that stand for each other, the plainest first.
_FAMILIES = ("'’‘‚‛‹›′ʼ´`", '"“”„‟«»″', "-‐‑‒–—―−", "*•·∙◦", "/⁄∕÷", " \t", "\n\u2028\u2029\x85")
_FAMILY = {char: family for family in _FAMILIES for char in family}
# What Unicode does not decompose, or not usefully.
_PLAIN = dict(zip('×ØøŁłĐđÐðıĦħ"', "xOoLlDdDdiHh'", strict=True))
_PLAIN |= {"…": "...", "Æ": "AE", "æ": "ae", "Œ": "OE", "œ": "oe", "Þ": "Th", "þ": "th", "ß": "ss", "ẞ": "SS"}


def relative(char: str, known: Container[str]) -> str:
    """The closest text to `char` written only with `known` characters, "" when it has no relative among them.

    Tried in this order: the compatibility form (ﬁ: fi), the other case, the family of quotes, dashes and the
    like, plainest first, the accent removed; then relatives of those (É becomes e where only e is known). One
    character may become several: … becomes three dots.
    """
    forms = list(_forms(char))
    for form in forms:
        if all(c in known for c in form):
            return form
    for form in forms:
        parts = [next((f for f in (c, *_forms(c)) if all(k in known for k in f)), "") for c in form]
        if all(parts):
            return "".join(parts)
    return ""


def _forms(char: str) -> Iterator[str]:
    """Other writings of `char`, closest first, never empty."""
    candidates = [unicodedata.normalize("NFKC", char)]
    candidates.extend(c for c in (char.lower(), char.upper()) if len(c) == 1)
    candidates.extend(_FAMILY.get(char, ""))
    candidates.append(_PLAIN.get(char, ""))
    decomposed = unicodedata.normalize("NFKD", char)
    candidates.append("".join(c for c in decomposed if not unicodedata.category(c).startswith("M")))
    return (c for c in candidates if c and c != char)
