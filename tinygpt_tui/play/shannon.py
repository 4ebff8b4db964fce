"""A voice for the first second, before any model is loaded: noise becomes words by counting alone.

It is the procedure of C. E. Shannon, "A Mathematical Theory of Communication" (1948), section 3: open a book at a random place, read
on until the last n letters that were written occur, and write the letter that follows. With n from 0 to 5 it goes through his
approximations to English, from letters as frequent as they are to pieces of words and sentences. The book is the beginning of the
embedded tales. Left out: probabilities (the `ngram` architecture), and anything that takes torch.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

MOST_ORDER = 5
CHARS_PER_ORDER = 80  # about a line of each; the highest order goes on without end
BOOK_CHARS = 40_000  # written anew at each start; enough for five letters to occur more than once


@dataclass(frozen=True)
class Spoken:
    """A piece of the text: each of its letters follows a place where the last `order` letters occur."""

    order: int
    text: str


class Shannon:
    """The voice. The same seed says the same, however the letters are asked for."""

    def __init__(
        self, seed: int = 1, *, book: str | None = None, chars_per_order: int = CHARS_PER_ORDER
    ) -> None:
        """
        Args:
            book: where places are looked up; not empty. By default the beginning of the embedded tales.
            chars_per_order: so many letters of each order before the next.
        """
        if book is None:
            from engine.catalogue.tales import write_tales

            book = write_tales(characters=BOOK_CHARS)
        if not book:
            raise ValueError("the book is empty")
        self._book = book
        self._dice = random.Random(seed)
        self._chars_per_order = chars_per_order
        self._last = ""  # the letters that the next one may depend on
        self._said = 0

    @property
    def order(self) -> int:
        """Of the next letter."""
        return min(MOST_ORDER, self._said // self._chars_per_order)

    @property
    def label(self) -> str:
        """What it does now, for a person."""
        if self.order == 0:
            return "order 0: each letter from a random place in the tales"
        letters = "letter" if self.order == 1 else f"{self.order} letters"
        return f"order {self.order}: each letter from a place where the last {letters} occurred"

    def speak(self, n_chars: int) -> tuple[Spoken, ...]:
        """The next `n_chars` letters, one piece for each order among them."""
        pieces: list[Spoken] = []
        while n_chars > 0:
            order = self.order
            left = self._chars_per_order - self._said % self._chars_per_order
            length = n_chars if order == MOST_ORDER else min(n_chars, left)
            pieces.append(Spoken(order, "".join(self._next(order) for _ in range(length))))
            n_chars -= length
        return tuple(pieces)

    def _next(self, order: int) -> str:
        book = self._book
        start = self._dice.randrange(len(book))
        # Fewer letters are looked for only where so many have not been written, or stand at the very end of the book alone.
        n, place = min(order, len(self._last)) + 1, -1
        while place < 0:
            n -= 1
            letters = self._last[len(self._last) - n :]
            place = book.find(letters, start, len(book) - 1)
            if place < 0:
                place = book.find(letters, 0, len(book) - 1)
        letter = book[place + n]
        self._last = (self._last + letter)[-MOST_ORDER:]
        self._said += 1
        return letter
