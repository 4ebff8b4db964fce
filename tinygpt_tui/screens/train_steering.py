"""What one asks of a run's trainer in Train: each key a request that the trainer obeys at its next step, and writes down.

A run that has no trainer any more gets a new one by resuming or extending it. Left out: showing the run (`tinygpt_tui.screens.train`).
"""

from __future__ import annotations

from engine.errors import UsageError
from tinygpt_tui.screens.mode_screen import ModeScreen
from tinygpt_tui.sources.run_picture import RunPicture


class Steering(ModeScreen):
    """The steering half of the Train screen."""

    def picture(self) -> RunPicture:
        """The run that is shown. Raises UsageError when there is none."""
        raise NotImplementedError

    def show_soon(self) -> None:
        """The next tick shows what has changed, however short ago the last one did."""
        raise NotImplementedError

    def action_pause(self) -> None:
        picture = self.picture()
        asked = [request.do for request in picture.pending if request.do in ("pause", "resume")]
        paused = asked[-1] == "pause" if asked else picture.state == "paused"
        self._ask("resume" if paused else "pause")

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
                f"{picture.name} has no plan yet that could be extended: wait for its first step."
            )
        more = max(1, whole // 2)
        if picture.live:
            self._ask("extend", more)
        else:
            self.world.starter.extend(picture.name, more)
            self._taken_up(picture.name, f"{picture.name} goes on for {more:,} steps more.")

    def action_resume(self) -> None:
        picture = self.picture()
        if picture.live:
            if picture.state != "paused" and not picture.pending:
                raise UsageError(f"{picture.name} is at work already.")
            self._ask("resume")
        elif picture.state == "done":
            key = self.playground.key_of("train.extend")
            raise UsageError(f"{picture.name} is finished: {key} lets it go on for half as long again.")
        else:
            self.world.starter.resume(picture.name)
            self._taken_up(picture.name, f"Going on with {picture.name} …")

    def action_play(self) -> None:
        picture = self.picture()
        self.world.desk.use(picture.name, follow=picture.live)
        self.playground.go("play")

    def _ask(self, do: str, value: float | None = None) -> None:
        self.world.ask(self.picture().name, do, value)
        self.show_soon()

    def _taken_up(self, name: str, sentence: str) -> None:
        self.world.chosen_run = name
        self.playground.tell(sentence, seconds=3)
        self.show_soon()
