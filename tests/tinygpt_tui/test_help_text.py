"""The help of a part of the screen, which may be written in Markdown, as a person reads it."""

from __future__ import annotations

from tinygpt_tui.screens.help import plain


def test_headings_and_keys_are_bold_and_no_mark_is_left() -> None:
    text = plain("""
        ## Prompt

        Type and press `enter`.
        * **Arrows** move
        - `ctrl+a`: all
        """)
    assert text.plain == "Prompt\n\nType and press enter.\n· Arrows move\n· ctrl+a: all"
    bold = {text.plain[span.start : span.end] for span in text.spans if span.style == "bold"}
    assert bold == {"Prompt", "enter", "Arrows", "ctrl+a"}


def test_foreign_text_is_neither_markup_nor_a_command_to_the_terminal() -> None:
    assert plain("[red]x[/red] \x1b[31m 3 * 4 * 5").plain == "[red]x[/red] ␛[31m 3 * 4 * 5"
