"""What one asks of a run's trainer in Train: each key a request that the trainer obeys at its next step, and writes down.

A run that has no trainer any more gets a new one by resuming or extending it. Left out: showing the run (`tinygpt_tui.screens.train`).
"""

from __future__ import annotations

from engine.errors import UsageError
from tinygpt_tui.screens.mode_screen import ModeScreen
from tinygpt_tui.screens.train_view import called, steps_more
from tinygpt_tui.sources.run_picture import RunPicture

COUNTED = "A model that counts is done once it has counted: there is nothing to go on with."
# Keys of the footer that mean nothing in a state, by what the trainer does.
_OF_A_TRAINER = frozenset({"pause", "stop", "slower", "faster", "sample"})


class Steering(ModeScreen):
    """The steering half of the Train screen."""

    def picture(self) -> RunPicture:
        """The run that is shown. Raises UsageError when there is none."""
        raise NotImplementedError

    def hidden_keys(self) -> frozenset[str]:
        """The actions that would only be refused, as the run is now: they are not in the footer."""
        try:
            picture = self.picture()
        except UsageError:
            return _OF_A_TRAINER | {"extend", "resume", "play", "log_y"}
        if picture.live:
            return frozenset({"resume"} if picture.arch != "ngram" else {"resume", "extend"})
        ended = {"resume"} if picture.state == "done" else {"extend"}
        if picture.arch == "ngram" or picture.state in ("gone", "damaged"):
            ended = {"resume", "extend"}
        return _OF_A_TRAINER | ended

    def key_labels(self) -> dict[str, str]:
        """What keys of the footer are called instead, as the run is now."""
        try:
            return {"pause": "resume"} if _held(self.picture()) else {}
        except UsageError:
            return {}

    def show_soon(self) -> None:
        """The next tick shows what has changed, however short ago the last one did."""
        raise NotImplementedError

    def action_pause(self) -> None:
        self._ask("resume" if _held(self.picture()) else "pause")

    def action_stop(self) -> None:
        self._ask("stop")

    def action_slower(self) -> None:
        self._ask("lr", 0.5)

    def action_faster(self) -> None:
        self._ask("lr", 2.0)

    def action_sample(self) -> None:
        self._ask("sample")

    def action_extend(self) -> None:
        picture = self.picture()
        whole = picture.horizon if picture.live else picture.step
        if not whole:
            raise UsageError(
                f"{called(picture)} has no plan yet that could be extended: wait for its first step."
            )
        if picture.arch == "ngram":
            raise UsageError(COUNTED)
        more = max(1, whole // 2)
        if picture.live:
            self._ask("extend", more)
        else:
            self.world.starter.extend(picture.name, more)
            self._taken_up(picture.name, f"{called(picture)} goes on for {steps_more(more)}.")

    def action_resume(self) -> None:
        picture = self.picture()
        if picture.live:
            if picture.state != "paused" and not picture.pending:
                raise UsageError(f"{called(picture)} is at work already.")
            self._ask("resume")
        elif picture.state == "done":  # all that was planned is done, so more is
            self.action_extend()
        else:
            self.world.starter.resume(picture.name)
            self._taken_up(picture.name, f"Going on with {called(picture)} …")

    def action_play(self) -> None:
        picture = self.picture()
        self.world.desk.use(picture.name, follow=picture.live)
        self.playground.go("play")

    def _ask(self, do: str, value: float | None = None) -> None:
        picture = self.picture()
        if not picture.live and picture.state not in ("gone", "damaged"):
            key = self.playground.key_of("train.resume")
            goes_on = COUNTED if picture.arch == "ngram" else f"{key} lets it go on."
            raise UsageError(f"No trainer is at work on {called(picture)} any more. {goes_on}")
        self.world.ask(picture.name, do, value)
        self.show_soon()

    def _taken_up(self, name: str, sentence: str) -> None:
        self.world.chosen_run = name
        self.playground.tell(sentence, seconds=3)
        self.show_soon()


def _held(picture: RunPicture) -> bool:
    """Whether the run is paused, or will be as soon as its trainer has heard."""
    asked = [request.do for request in picture.pending if request.do in ("pause", "resume")]
    return asked[-1] == "pause" if asked else picture.state == "paused"
