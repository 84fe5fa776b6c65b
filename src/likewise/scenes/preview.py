"""A contact sheet of scenes with their labels, so that a person can look."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw

from likewise.scenes.scene import Scene

_TARGET, _OTHER, _EXEMPLAR = (255, 60, 60), (60, 220, 255), (60, 255, 60)
_CELL, _CAPTION = 420, 16


def contact_sheet(scenes: Sequence[Scene], columns: int = 4) -> Image.Image:
    """Scenes side by side: targets boxed in red, other kinds in blue, exemplars in thick green, points as dots."""
    lines = -(-len(scenes) // columns)
    sheet = Image.new("RGB", (columns * _CELL, lines * (_CELL + _CAPTION)))
    draw = ImageDraw.Draw(sheet)
    for i, scene in enumerate(scenes):
        x, y = (i % columns) * _CELL, (i // columns) * (_CELL + _CAPTION)
        picture = labelled(scene)
        picture.thumbnail((_CELL - 4, _CELL - 4))
        sheet.paste(picture, (x, y + _CAPTION))
        others = len(scene.objects) - len(scene.of_kind(scene.target))
        caption = f"{len(scene.of_kind(scene.target))} {scene.target}" + (f" + {others} others" if others else "")
        draw.text((x + 2, y + 2), caption[:66])
    return sheet


def labelled(scene: Scene) -> Image.Image:
    """One scene with its boxes and points drawn in."""
    picture = Image.fromarray(scene.image)
    draw = ImageDraw.Draw(picture)
    for thing in scene.objects:
        colour = _TARGET if thing.kind == scene.target else _OTHER
        draw.rectangle(thing.box, outline=colour)
        x, y = thing.point
        draw.ellipse((x - 1.5, y - 1.5, x + 1.5, y + 1.5), fill=colour)
    for i in scene.exemplars(scene.target):
        draw.rectangle(scene.objects[i].box, outline=_EXEMPLAR, width=3)
    return picture
