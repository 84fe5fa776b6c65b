"""The HTTP API of looking at a picture: what its file tells of it, all of it, and its parts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Response

from likewise.app.answers import AboutAnswer, FittingAnswer
from likewise.app.limits import RefusedError
from likewise.app.opened import about, chosen, fits, shown
from likewise.app.picture_store import Picture
from likewise.app.requests import Seen
from likewise.app.tiles import is_tiled
from likewise.app.workbench import Workbench
from likewise.errors import LikewiseError

#: Pictures never change under their id.
CACHED = {"Cache-Control": "private, max-age=3600, immutable"}
#: Of a tile, by columns or rows.
Place = Annotated[int, Path(ge=0, le=1 << 24)]


def add_viewing_routes(api: APIRouter, bench: Workbench, front: Executor, back: Executor) -> None:
    """What is asked when a picture is looked at.

    Args:
        api: is added to.
        bench: knows the pictures.
        front: where the picture that somebody looks at is read, one part at a time.
        back: where all others are.
    """
    _add_told(api, bench, front, back)
    _add_shown(api, bench, front, back)


def _add_told(api: APIRouter, bench: Workbench, front: Executor, back: Executor) -> None:
    @api.get("/pictures/{picture}/about", response_model=AboutAnswer, tags=["pictures"])
    async def about_picture(picture: str, seen: Annotated[Seen, Query()]) -> dict[str, Any]:
        """What the picture's file tells of it: how large a pixel is, and what there is several of."""
        found = chosen(bench.store.get(picture), seen)
        return await asyncio.get_running_loop().run_in_executor(front, about, found)

    @api.post("/pictures/fitting", response_model=FittingAnswer, tags=["pictures"])
    async def fitting_pictures(seen: Seen) -> dict[str, Any]:
        """The ids of all pictures whose files have such a channel, plane and frame, or a contrast to choose."""
        choice, listed = seen.choice(), bench.store.listed()

        def fitting() -> list[str]:
            return [each.id for each in listed if fits(each, choice)]

        return {"pictures": await asyncio.get_running_loop().run_in_executor(back, fitting)}


def _add_shown(api: APIRouter, bench: Workbench, front: Executor, back: Executor) -> None:
    async def read(picture: Picture, function: Callable[[], Any], where: Executor) -> Any:
        try:
            return await asyncio.get_running_loop().run_in_executor(where, function)
        except RefusedError:  # what is wrong is the choice, or the place
            raise
        except LikewiseError as error:
            bench.store.spoil(picture.id, str(error))
            raise RefusedError(415, str(error)) from error

    @api.get("/pictures/{picture}/{view}", tags=["pictures"], response_class=Response)
    async def show_picture(
        picture: str, view: Literal["image", "thumbnail"], seen: Annotated[Seen, Query()]
    ) -> Response:
        """The picture, upright and encoded anew: up to 4096 pixels a side, or a small one."""
        found, small = chosen(bench.store.get(picture), seen), view == "thumbnail"
        whole = partial(bench.view.overview if is_tiled(found) else shown, found)
        content, media_type = await read(
            found, partial(shown, found, small=True) if small else whole, back if small else front
        )
        return Response(content, media_type=media_type, headers=CACHED)

    @api.get("/pictures/{picture}/tiles/{reduction}/{column}/{row}", tags=["pictures"], response_class=Response)
    async def show_tile(
        picture: str,
        reduction: Annotated[int, Path(ge=1, le=1 << 16)],
        column: Place,
        row: Place,
        seen: Annotated[Seen, Query()],
    ) -> Response:
        """A part of the picture, at most 512 pixels a side, reduced by a power of two."""
        found = chosen(bench.store.get(picture), seen)
        content = await read(found, partial(bench.view.tile, found, reduction, column, row), front)
        return Response(content, media_type="image/jpeg", headers=CACHED)
