"""Boxes round outlines in the two forms that detectors are trained on: YOLO's lines and Pascal VOC's XML.

Convention
----------
YOLO: a line a thing, ``class x y width height``, the box's centre and sides as shares of the picture's; there is one
class, 0. VOC: whole pixels counted from 1, the last one included.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from xml.etree import ElementTree as Xml

from likewise.errors import LikewiseError
from likewise.plain_text import printable
from likewise.results.annotations import PointAnnotations
from likewise.results.outlines import Outlines


def write_yolo(pictures: Iterable[PointAnnotations], info: Mapping[str, str], path: Path) -> None:
    """Write a text file with a line for each outlined thing of one picture.

    Args:
        pictures: one, with outlines.
        info: is not written.
        path: of the file.

    Raises:
        LikewiseError: several pictures, or no outlines.
    """
    picture, outlines = _one(pictures)
    width, height = picture.size
    lines = []
    for x0, y0, x1, y1 in outlines.boxes.tolist():
        shares = ((x0 + x1) / 2 / width, (y0 + y1) / 2 / height, (x1 - x0) / width, (y1 - y0) / height)
        lines.append("0 " + " ".join(f"{share:.8f}" for share in shares) + "\n")
    path.write_text("".join(lines), encoding="ascii")


def write_voc(pictures: Iterable[PointAnnotations], info: Mapping[str, str], path: Path) -> None:
    """Write an XML file with an object for each outlined thing of one picture; what its border cuts is truncated.

    Args:
        pictures: one, with outlines.
        info: is not written.
        path: of the file.

    Raises:
        LikewiseError: several pictures, or no outlines.
    """
    picture, outlines = _one(pictures)
    root = Xml.Element("annotation")
    Xml.SubElement(root, "filename").text = printable(Path(picture.name).name)
    _numbers(Xml.SubElement(root, "size"), width=picture.size[0], height=picture.size[1], depth=3)
    Xml.SubElement(root, "segmented").text = "0"
    for (x0, y0, x1, y1), cut in zip(outlines.boxes.tolist(), outlines.cut.tolist(), strict=True):
        thing = Xml.SubElement(root, "object")
        Xml.SubElement(thing, "name").text = printable(picture.category)
        Xml.SubElement(thing, "pose").text = "Unspecified"
        _numbers(thing, truncated=int(cut), difficult=0)
        _numbers(Xml.SubElement(thing, "bndbox"), xmin=x0 + 1, ymin=y0 + 1, xmax=x1, ymax=y1)
    Xml.indent(root)
    Xml.ElementTree(root).write(path, encoding="utf-8")


def _numbers(parent: Xml.Element, **values: int) -> None:
    for name, value in values.items():
        Xml.SubElement(parent, name).text = str(value)


def _one(pictures: Iterable[PointAnnotations]) -> tuple[PointAnnotations, Outlines]:
    picture, *others = pictures
    if others:
        raise LikewiseError("such a file holds the boxes of one picture; write one for each")
    if picture.outlines is None:
        raise LikewiseError("boxes need outlines, and this count has none; ask for them with outlines=True")
    return picture, picture.outlines
