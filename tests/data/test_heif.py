"""Photographs of phones: HEIC with the extra, AVIF and JPEG 2000 without."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from likewise.data import images
from likewise.data.decoders import HEIF_SUFFIXES, is_read
from likewise.data.images import read_image
from likewise.errors import LikewiseError

SMOOTH = np.add.outer(np.arange(64) * 2, np.arange(96)).astype(np.uint8)[..., None] + np.zeros(3, np.uint8)


@pytest.mark.parametrize("suffix", HEIF_SUFFIXES)
def test_heic_is_read_by_its_extra(tmp_path: Path, suffix: str) -> None:
    heif = pytest.importorskip("pillow_heif", reason="HEIC is read with the extra heif")
    path = tmp_path / f"a{suffix}"
    heif.from_pillow(Image.fromarray(SMOOTH)).save(path, quality=95)
    assert is_read(path)
    np.testing.assert_allclose(read_image(path).astype(int), SMOOTH, atol=8)


def test_large_heic_has_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heif = pytest.importorskip("pillow_heif", reason="HEIC is read with the extra heif")
    heif.from_pillow(Image.fromarray(SMOOTH)).save(tmp_path / "a.heic")
    monkeypatch.setattr(images, "LARGE", 100)
    monkeypatch.setattr(images, "MAX_PIXELS", 7000)
    with pytest.raises(LikewiseError, match="as HEIF it is decoded whole"):
        read_image(tmp_path / "a.heic")


@pytest.mark.parametrize(("name", "feature"), [("a.avif", "avif"), ("a.jp2", "jpg_2000"), ("a.jfif", "jpg")])
def test_what_pillow_has_built_in_is_read(tmp_path: Path, name: str, feature: str) -> None:
    if not features.check(feature):
        pytest.skip(f"this Pillow was built without {feature}")
    options = {} if name == "a.jp2" else {"quality": 95}
    Image.fromarray(SMOOTH).save(tmp_path / name, **options)
    assert is_read(tmp_path / name)
    np.testing.assert_allclose(read_image(tmp_path / name).astype(int), SMOOTH, atol=8)
