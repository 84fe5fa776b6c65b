"""The HTTP API of what a picture's file tells beside its pixels."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor
from typing import Any

from fastapi import APIRouter

from likewise.app.answers import AboutAnswer
from likewise.app.opened import about
from likewise.app.workbench import Workbench


def add_viewing_routes(api: APIRouter, bench: Workbench, front: Executor) -> None:
    """What is asked when a picture is looked at; it is read by the thread of the picture in front."""

    @api.get("/pictures/{picture}/about", response_model=AboutAnswer, tags=["pictures"])
    async def about_picture(picture: str) -> dict[str, Any]:
        """What the picture's file tells of it: how large a pixel is."""
        found = bench.store.get(picture)
        return await asyncio.get_running_loop().run_in_executor(front, about, found)
