"""The models the workbench answers with: chosen by the prompt, loaded once, each with the pictures it has looked at.

Beside those that ship with the package there are files: what corrected pictures taught a counter
(`likewise.predict.adaptation_card`), and weights of recognisers, such as what named pictures taught one
(`likewise.predict.taught_names`). They were named when the workbench was started, or lie beside the pictures.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from likewise.app.limits import RefusedError
from likewise.app.opened import check_whole, opened
from likewise.app.picture_store import Picture
from likewise.errors import LikewiseError
from likewise.predict import Counter, EncodedImage, NamedCounter, Segmenter, Session, load, load_counter
from likewise.predict.adaptation_card import is_card, read_card
from likewise.predict.taught import Taught
from likewise.predict.taught_names import named_classes, taught_names_of
from likewise.registry import method_class, model_names, preset

#: Steps an octave in which pictures are rescaled, so that another box finds the picture prepared.
SCALE_STEPS = 4
#: Ending of files that may be models.
ENDING = ".safetensors"


class Models:
    """Methods but `listed`, `ready`, `has_seen` and `add` are for the worker's thread.

    Args:
        cached_pixels: pictures that were looked at are kept, up to so many pixels together.
        folder: in which what was taught lies; None: nowhere.
        given: files of models.
    """

    def __init__(self, cached_pixels: int, folder: Path | None = None, given: Iterable[Path] = ()) -> None:
        self._most = cached_pixels
        self._folder = folder
        self._given = {path.name: path for path in given}
        self._described: dict[tuple[Path, int], dict[str, Any] | None] = {}
        self._loaded: dict[tuple[str, str], Any] = {}
        self._seen: OrderedDict[tuple[str, Picture], Any] = OrderedDict()

    def listed(self) -> list[dict[str, Any]]:
        """Every model: name, task, the prompts it takes, whether its weights are here, and how to get them."""
        described = [_described(name) for name in model_names()]
        return described + [found for path in self._files().values() if (found := self._of_file(path)) is not None]

    def add(self, path: Path) -> None:
        """Take in a file that was just written."""
        self._given[path.name] = path

    def named(self, name: str | None, task: str, prompt: str | None = None) -> Any:
        """A model, ready to use.

        Args:
            name: None: the first that has its weights and fits.
            task: what it is asked to do.
            prompt: the kind of prompt it is asked with; None: its task has only one.

        Raises:
            RefusedError: no such model, one for something else, or none has its weights here.
        """
        if name is None:
            name = self._first(task, prompt)
        key = (name, task)
        if key not in self._loaded:
            known = {model["name"]: model["task"] for model in self.listed()}
            if name not in known and f"{name}{ENDING}" in known:  # results call files so
                return self.named(f"{name}{ENDING}", task, prompt)
            if name not in known:
                raise RefusedError(404, f"there is no model {name!r} here; there are {', '.join(known)}")
            if known[name] != task:
                raise RefusedError(422, f"{name} cannot {task}; it is there to {known[name]}")
            self._loaded[key] = _load(self._files().get(name, name), task)
        return self._loaded[key]

    def anew(self, name: str | None) -> Counter | NamedCounter:
        """A counter by example as it was written, and not as it is used here: to learn from it.

        Raises:
            RefusedError: as `named`.
        """
        chosen = name or self._first("count", "exemplars")
        if chosen not in {model["name"] for model in self.listed()}:
            raise RefusedError(404, f"there is no model {chosen!r} here")
        return load_counter(self._files().get(chosen, chosen))

    def _first(self, task: str, prompt: str | None) -> str:
        fitting = [m for m in self.listed() if m["task"] == task and (prompt is None or prompt in m["prompts"])]
        ready = [model["name"] for model in fitting if model["ready"]]
        if not ready:
            raise RefusedError(409, _missing(task, prompt, fitting))
        return str(ready[0])

    def ready(self, name: str | None, task: str, prompt: str) -> Any:
        """As `named`, of those that are loaded; None: it is not."""
        fitting = [m["name"] for m in self.listed() if m["task"] == task and prompt in m["prompts"] and m["ready"]]
        return self._loaded.get((name or next(iter(fitting), ""), task))

    def session(self, counter: Counter | NamedCounter, picture: Picture, coarse: float = 1.0) -> Session:
        """A picture that a counter was asked about: the next question about it is answered quickly."""
        found: Session = self._kept(f"{_known_as(counter)}@{coarse}", picture, lambda source: Session(counter, source))
        found.counter = counter  # at a part of the scale, each question's own
        return found

    def has_seen(self, counter: Counter, picture: Picture, coarse: float) -> bool:
        """Whether there is a session of a picture."""
        return (f"{_known_as(counter)}@{coarse}", picture) in self._seen

    def encoded(self, segmenter: Segmenter, picture: Picture) -> EncodedImage:
        """A picture as a segmenter sees it, likewise."""
        found: EncodedImage = self._kept(segmenter.name, picture, lambda source: segmenter.encode(source.whole()[0]))
        return found

    def _kept(self, name: str, picture: Picture, make: Callable[[Any], Any]) -> Any:
        key = (name, picture)
        if key not in self._seen:
            check_whole(picture)
            with opened(picture) as source:
                self._seen[key] = make(source)
        self._seen.move_to_end(key)
        while len(self._seen) > 1 and sum(held.width * held.height for _, held in self._seen) > self._most:
            self._seen.popitem(last=False)
        return self._seen[key]

    def forget(self, picture_id: str) -> None:
        """Let go of what is kept of a picture."""
        for key in [key for key in self._seen if key[1].id == picture_id]:
            del self._seen[key]

    def _files(self) -> dict[str, Path]:
        beside = sorted(self._folder.glob(f"*{ENDING}")) if self._folder else []
        return {**{path.name: path for path in beside if path.is_file()}, **self._given}

    def _of_file(self, path: Path) -> dict[str, Any] | None:
        """What a file says of itself, read once; None: it is no model that can be used."""
        try:
            key = (path, path.stat().st_mtime_ns)
            if key not in self._described:
                self._described[key] = _described_card(path) if is_card(path) else _described_weights(path)
            return self._described[key]
        except (LikewiseError, OSError):
            return None


def _known_as(counter: Counter | NamedCounter) -> str:
    """A name for what it has seen: what was taught differs from its base."""
    return counter.name + (f" taught {id(counter.taught)}" if counter.taught else "")


def _load(name: str | Path, task: str) -> Any:
    try:
        return load_counter(name, scale_steps=SCALE_STEPS) if task == "count" else load(name)
    except LikewiseError as error:
        told = str(error) if isinstance(name, str) else str(error).replace(str(name), name.name)
        raise RefusedError(409, told) from error


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


def _described_card(path: Path) -> dict[str, Any]:
    taught = read_card(path).taught
    return {**_described(taught.base), "name": path.name, "notes": [taught_in_words(taught)]}


def _described_weights(path: Path) -> dict[str, Any] | None:
    """What a recogniser's weights say of themselves; None: they are another's."""
    method, labels = named_classes(path)
    if method_class(method).task != "recognize":
        return None
    taught = taught_names_of(path)
    notes = [str(taught)] if taught else [f"{len(labels)} names" if labels else "classes without names"]
    return {"name": path.name, "task": "recognize", "prompts": [], "ready": True, "how_to": "", "notes": notes}


def taught_in_words(taught: Taught) -> str:
    """What a counter was taught by, and what that did for pictures it was not taught by."""
    return (
        f"{taught.base}, taught by {len(taught.pictures)} corrected pictures: mean error on those left out "
        f"{taught.before:.0%} before, {taught.after:.0%} after"
    )


def _missing(task: str, prompt: str | None, fitting: list[dict[str, Any]]) -> str:
    how = {"exemplars": " by example", "text": " by name"}.get(prompt or "", "")
    ways = "; ".join(f"{model['name']}: {model['how_to']}" for model in fitting)
    return f"no model that can {task}{how} has its weights here" + (f" ({ways})" if ways else "")
