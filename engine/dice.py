"""The dice a text is written with: one number per position, fixed by the seed alone.

A generator that is advanced by every draw would make each character depend on how many draws came before
it. Here the die of a position depends on nothing but (seed, position), so a changed temperature or a
swapped character leaves every other die as it was, two temperatures can be compared on the same dice, and a
text can be replayed from its middle. No state is kept, and no cryptographic promise is made.
"""

from __future__ import annotations

import struct
from hashlib import blake2b

from engine.errors import UsageError

MAX_SEED = 2**64 - 1


def die(seed: int, position: int) -> float:
    """The uniform draw in [0, 1) that belongs to the token at `position` of a text written with `seed`.

    The same on every machine and in every version of Python: the upper 53 bits of a BLAKE2b hash of the two
    numbers, in the manner of the counter-based generators of Salmon et al., "Parallel random numbers: as
    easy as 1, 2, 3" (2011).

    Args:
        seed: 0 to 2^64 - 1.
        position: index of the token in the whole text, prompt included, from 0.
    """
    digest = blake2b(struct.pack("<QQ", seed, position), digest_size=8, person=b"tinygpt die").digest()
    # 53 bits fill a float64's mantissa exactly, so the largest value is 1 - 2^-53 and never rounds up to 1.
    return float(int.from_bytes(digest, "little") >> 11) * 2.0**-53


def checked_seed(seed: object) -> int:
    """`seed` itself.

    Raises:
        UsageError: it is not a whole number from 0 to 2^64 - 1.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= MAX_SEED:
        raise UsageError(f"The seed must be a whole number from 0 to {MAX_SEED}, not {str(seed)[:40]}.")
    return seed
