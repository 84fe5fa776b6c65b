"""The models the workbench answers with: chosen by the prompt, loaded once, each with the pictures it has looked at."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from likewise.app.limits import RefusedError
from likewise.app.picture_store import Picture, pixels_of
from likewise.errors import LikewiseError
from likewise.predict import Counter, EncodedImage, NamedCounter, Segmenter, Session, load, load_counter
from likewise.registry import model_names, preset

#: Steps an octave in which pictures are rescaled, so that another box finds the picture prepared.
SCALE_STEPS = 4


class Models:
    """All methods but `listed` are for the worker's thread.

    Args:
        cached_pixels: pictures that were looked at are kept, up to so many pixels together.
    """

    def __init__(self, cached_pixels: int) -> None:
        self._most = cached_pixels
        self._loaded: dict[str, Any] = {}
        self._seen: OrderedDict[tuple[str, Picture], Any] = OrderedDict()

    def listed(self) -> list[dict[str, Any]]:
        """Every model: name, task, the prompts it takes, whether its weights are here, and how to get them."""
        return [_described(name) for name in model_names()]

    def named(self, name: str | None, task: str, prompt: str | None = None) -> Any:
        """A model, ready to use.

        Args:
            name: None: the first that has its weights and fits.
            task: what it is asked to do.
            prompt: the kind of prompt it is asked with; None: its task has only one.

        Raises:
            RefusedError: no such model, one for something else, or none has its weights here.
        """
        fitting = [m for m in self.listed() if m["task"] == task and (prompt is None or prompt in m["prompts"])]
        if name is None:
            ready = [model["name"] for model in fitting if model["ready"]]
            if not ready:
                raise RefusedError(409, _missing(task, prompt, fitting))
            name = ready[0]
        if name not in self._loaded:
            if name not in model_names():
                raise RefusedError(404, f"there is no model {name!r} here; there are {', '.join(model_names())}")
            if preset(name).task != task:
                raise RefusedError(422, f"{name} cannot {task}; it is there to {preset(name).task}")
            self._loaded[name] = _load(name)
        return self._loaded[name]

    def ready(self, name: str | None, task: str, prompt: str) -> Any:
        """As `named`, of those that are loaded; None: it is not. From any thread."""
        fitting = [m["name"] for m in self.listed() if m["task"] == task and prompt in m["prompts"] and m["ready"]]
        return self._loaded.get(name or next(iter(fitting), ""))

    def session(self, counter: Counter | NamedCounter, picture: Picture, coarse: float = 1.0) -> Session:
        """A picture that a counter was asked about: the next question about it is answered quickly."""
        found: Session = self._kept(f"{counter.name}@{coarse}", picture, lambda pixels: Session(counter, pixels))
        found.counter = counter  # at a part of the scale, each question's own
        return found

    def has_seen(self, counter: Counter, picture: Picture, coarse: float) -> bool:
        """Whether there is a session of a picture. From any thread."""
        return (f"{counter.name}@{coarse}", picture) in self._seen

    def encoded(self, segmenter: Segmenter, picture: Picture) -> EncodedImage:
        """A picture as a segmenter sees it, likewise."""
        found: EncodedImage = self._kept(segmenter.name, picture, segmenter.encode)
        return found

    def _kept(self, name: str, picture: Picture, make: Callable[[Any], Any]) -> Any:
        key = (name, picture)
        if key not in self._seen:
            self._seen[key] = make(pixels_of(picture))
        self._seen.move_to_end(key)
        while len(self._seen) > 1 and sum(held.width * held.height for _, held in self._seen) > self._most:
            self._seen.popitem(last=False)
        return self._seen[key]

    def forget(self, picture_id: str) -> None:
        """Let go of what is kept of a picture."""
        for key in [key for key in self._seen if key[1].id == picture_id]:
            del self._seen[key]


def _load(name: str) -> Any:
    try:
        return load_counter(name, scale_steps=SCALE_STEPS) if preset(name).task == "count" else load(name)
    except LikewiseError as error:
        raise RefusedError(409, str(error)) from error


def _described(name: str) -> dict[str, Any]:
    found = preset(name)
    ready = found.card.path is not None and found.card.path.is_file()
    return {
        "name": name,
        "task": found.task,
        "prompts": list(found.prompts),
        "ready": ready,
        "how_to": "" if ready else found.card.how_to,
        "notes": list(found.card.notes),
    }


def _missing(task: str, prompt: str | None, fitting: list[dict[str, Any]]) -> str:
    how = {"exemplars": " by example", "text": " by name"}.get(prompt or "", "")
    ways = "; ".join(f"{model['name']}: {model['how_to']}" for model in fitting)
    return f"no model that can {task}{how} has its weights here" + (f" ({ways})" if ways else "")
