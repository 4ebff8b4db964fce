"""What the first voice promises: the procedure of 1948, the same for the same seed, at once and without torch."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tinygpt_tui.play.shannon import BOOK_CHARS, CHARS_PER_ORDER, MOST_ORDER, Shannon

ROOT = Path(__file__).parent.parent.parent
BOOK = "the cat sat on the mat. the dog sat on the log. a frog sat in the bog.\n" * 3


def test_every_letter_follows_a_place_where_the_last_letters_occur() -> None:
    text = ""
    voice = Shannon(5, book=BOOK, chars_per_order=50)
    for _ in range(60):
        for piece in voice.speak(7):
            for letter in piece.text:
                context = text[max(0, len(text) - piece.order) :]
                assert context + letter in BOOK
                text += letter


def test_the_order_rises_line_by_line_and_stays_at_five() -> None:
    voice = Shannon(1, book=BOOK)
    pieces = voice.speak(CHARS_PER_ORDER * (MOST_ORDER + 3))
    assert [piece.order for piece in pieces] == [0, 1, 2, 3, 4, 5]
    assert [len(piece.text) for piece in pieces] == [CHARS_PER_ORDER] * 5 + [3 * CHARS_PER_ORDER]


def test_it_says_which_order_it_is_at() -> None:
    voice = Shannon(1, book=BOOK, chars_per_order=1)
    labels = []
    for order in range(MOST_ORDER + 2):
        assert voice.order == min(order, MOST_ORDER)
        labels.append(voice.label)
        voice.speak(1)
    assert labels[0].startswith("order 0") and "last letter " in labels[1] and "last 5 letters" in labels[5]
    assert labels[6] == labels[5]


def test_the_same_seed_says_the_same_however_it_is_asked() -> None:
    def said(seed: int, *portions: int) -> str:
        voice = Shannon(seed, book=BOOK)
        return "".join(piece.text for n in portions for piece in voice.speak(n))

    assert said(7, 600) == said(7, 1, 0, 99, 500) and len(said(7, 600)) == 600
    assert said(7, 600) != said(8, 600)


@pytest.mark.parametrize("book", ["a", "ab", "abcdefg"])
def test_the_shortest_book_is_enough(book: str) -> None:
    text = "".join(piece.text for piece in Shannon(1, book=book, chars_per_order=3).speak(100))
    assert len(text) == 100 and set(text) <= set(book)


def test_an_empty_book_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        Shannon(1, book="")


def test_noise_becomes_words_of_the_tales() -> None:
    from engine.catalogue.tales import write_tales

    words = set(write_tales(characters=BOOK_CHARS).split())
    pieces = Shannon(1, chars_per_order=2000).speak(2000 * (MOST_ORDER + 1))
    shares = [sum(w in words for w in p.text.split()) / len(p.text.split()) for p in pieces]
    assert shares == sorted(shares) and shares[0] < 0.2 and shares[-1] > 0.7


def test_a_line_takes_about_a_millisecond() -> None:
    voice = Shannon(1)
    took = []
    for _ in range(40):
        began = time.process_time()
        voice.speak(60)
        took.append(time.process_time() - began)
    assert sorted(took)[len(took) // 2] < 0.004  # a tenth of that of a frame; slow machines included


def test_it_loads_neither_torch_nor_numpy_nor_textual() -> None:
    code = (
        "import sys; from tinygpt_tui.play.shannon import Shannon; Shannon(1).speak(9)\n"
        "sys.exit(bool({'torch', 'numpy', 'textual'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=60)
