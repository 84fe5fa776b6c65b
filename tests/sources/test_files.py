"""Files of instruments, written by the other side's own library and read in parts."""

from __future__ import annotations

import builtins
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from likewise.data.images import read_image
from likewise.data.intensity import intensity_range
from likewise.errors import LikewiseError
from likewise.sources import Choice, Frames, open_frames, open_source

RNG = np.random.default_rng(6)
WINDOW = (5, 9, 41, 30)


def mapped(values: np.ndarray) -> np.ndarray:
    """As 8 bits, by the rule for a picture's own values."""
    low, high = intensity_range([values], "it")
    return np.rint((np.clip(values.astype(float), low, high) - low) / (high - low) * 255)


def check(path: Path, choice: Choice, expected: np.ndarray) -> None:
    """A part is what it is in the whole, and the whole is the expected plane as 8 bits."""
    with open_source(path, choice) as source:
        whole = source.read()
        x0, y0, x1, y1 = WINDOW
        assert (source.read(WINDOW) == whole[y0:y1, x0:x1]).all()
        assert np.abs(whole[..., 0] - mapped(expected)).max() <= 1


def stack(*shape: int) -> np.ndarray:
    return RNG.integers(200, 4000, (*shape, 40, 50)).astype(np.uint16)


class TestTiff:
    def test_planes_of_a_stack(self, tmp_path: Path) -> None:
        values = stack(4)
        tifffile.imwrite(tmp_path / "z.tif", values, imagej=True, metadata={"axes": "ZYX"})
        check(tmp_path / "z.tif", Choice(z=2), values[2])
        check(tmp_path / "z.tif", Choice(z="max"), values.max(0))
        check(tmp_path / "z.tif", Choice(z="mean"), values.mean(0))
        with pytest.raises(LikewiseError, match=r"holds 4 planes; choose one with --z 0 to 3, or --z max or mean"):
            open_source(tmp_path / "z.tif")
        with pytest.raises(LikewiseError, match="has no plane 4: expected 0 to 3"):
            open_source(tmp_path / "z.tif", Choice(z=4))

    def test_named_channels_and_the_size_of_a_pixel(self, tmp_path: Path) -> None:
        values = stack(3, 2)
        told = {"axes": "ZCYX", "Channel": {"Name": ["DAPI", "GFP 488"]}, "PhysicalSizeX": 650.0, "PhysicalSizeY": 0.65}
        units = {"PhysicalSizeXUnit": "nm", "PhysicalSizeYUnit": "um"}
        tifffile.imwrite(tmp_path / "c.ome.tif", values, metadata=told | units, photometric="minisblack")
        for channel in ("GFP 488", "gfp 488", 1, "1"):
            parsed = Choice.parse(str(channel), "max")
            check(tmp_path / "c.ome.tif", parsed, values[:, 1].max(0))
        with open_source(tmp_path / "c.ome.tif", Choice(channel=0, z=0)) as source:
            assert source.placement is not None
            assert source.placement.micrometres == pytest.approx((0.65, 0.65))
            assert source.axes.channels == ("DAPI", "GFP 488")
        with pytest.raises(LikewiseError, match=r"holds 2 channels \(DAPI, GFP 488\); choose one: --channel DAPI"):
            open_source(tmp_path / "c.ome.tif", Choice(z=0))
        with pytest.raises(LikewiseError, match=r"has no channel GFP; (did you mean|there are) .*GFP 488"):
            open_source(tmp_path / "c.ome.tif", Choice(channel="GFP", z=0))

    def test_imagejs_units(self, tmp_path: Path) -> None:
        path = tmp_path / "i.tif"
        tifffile.imwrite(path, stack(2), imagej=True, resolution=(4, 2), metadata={"axes": "ZYX", "unit": "um"})
        with open_source(path, Choice(z=0)) as source:
            assert source.placement is not None
            assert source.placement.micrometres == pytest.approx((0.25, 0.5))

    @pytest.mark.parametrize("planar", ["contig", "separate"])
    def test_channels_that_are_samples(self, tmp_path: Path, planar: str) -> None:
        values = stack(5)
        stored = values if planar == "separate" else np.moveaxis(values, 0, -1)
        tifffile.imwrite(tmp_path / "s.tif", stored, photometric="minisblack", planarconfig=planar)
        check(tmp_path / "s.tif", Choice(channel=3), values[3])

    @pytest.mark.parametrize("planar", ["contig", "separate"])
    def test_deep_colours(self, tmp_path: Path, planar: str) -> None:
        values = stack(3)
        stored = values if planar == "separate" else np.moveaxis(values, 0, -1)
        tifffile.imwrite(tmp_path / "rgb.tif", stored, photometric="rgb", planarconfig=planar)
        with open_source(tmp_path / "rgb.tif") as source:
            assert (source.read() == read_image(tmp_path / "rgb.tif")).all()

    def test_white_is_zero(self, tmp_path: Path) -> None:
        values = stack(2)
        tifffile.imwrite(tmp_path / "w.tif", values, photometric="miniswhite")
        check(tmp_path / "w.tif", Choice(channel=1), 65535 - values[1].astype(int))

    def test_a_pyramid_is_one_picture(self, tmp_path: Path) -> None:
        pytest.importorskip("zarr", reason="levels are read through zarr")
        picture = RNG.integers(0, 256, (256, 320, 3), dtype=np.uint8)
        with tifffile.TiffWriter(tmp_path / "p.ome.tif", bigtiff=True) as out:
            out.write(picture, subifds=2, tile=(64, 64), photometric="rgb")
            for by in (2, 4):
                out.write(picture[::by, ::by], subfiletype=1, tile=(64, 64), photometric="rgb")
        with open_source(tmp_path / "p.ome.tif", Choice(channel=None, z=0)) as source:
            assert source.sizes == ((320, 256), (160, 128), (80, 64))
            assert (source.read((30, 40, 130, 100)) == picture[40:100, 30:130]).all()
            assert (source.read((32, 40, 132, 100), scale=0.25) == picture[40:100:4, 32:132:4]).all()

    def test_without_zarr_small_ones_are_read_whole(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        values = stack(3)
        tifffile.imwrite(tmp_path / "z.tif", values, imagej=True, metadata={"axes": "ZYX"})
        hide(monkeypatch, "zarr")
        check(tmp_path / "z.tif", Choice(z=1), values[1])
        monkeypatch.setattr("likewise.sources.tiff.WHOLE", 100)
        with (
            open_source(tmp_path / "z.tif", Choice(z=1)) as source,
            pytest.raises(LikewiseError, match=r"read whole.* needs zarr: pip install 'likewise\[bio\]'"),
        ):
            source.read()

    def test_a_photograph_is_what_it_was(self, tmp_path: Path) -> None:
        picture = RNG.integers(0, 256, (40, 50, 3), dtype=np.uint8)
        tifffile.imwrite(tmp_path / "p.tif", picture)
        with open_source(tmp_path / "p.tif") as source:
            assert (source.read() == picture).all()


class TestZarr:
    @pytest.fixture
    def writer(self) -> Any:
        pytest.importorskip("zarr", reason="the extra bio is not installed")
        return pytest.importorskip("ome_zarr.writer", reason="ome-zarr, the other side, is not installed")

    def test_channels_planes_and_levels(self, tmp_path: Path, writer: Any) -> None:
        import zarr

        values = stack(2, 3)
        root = zarr.open_group(str(tmp_path / "a.ome.zarr"), mode="w")
        writer.write_image(values, root, axes="czyx", storage_options={"chunks": (1, 1, 16, 16)})
        check(tmp_path / "a.ome.zarr", Choice(channel=1, z=2), values[1, 2])
        check(tmp_path / "a.ome.zarr", Choice(channel=0, z="max"), values[0].max(0))
        with open_source(tmp_path / "a.ome.zarr", Choice(channel=0, z=0)) as source:
            assert source.sizes[:2] == ((50, 40), (25, 20))
        with pytest.raises(LikewiseError, match="holds 2 channels"):
            open_source(tmp_path / "a.ome.zarr")

    def test_the_size_of_a_pixel(self, tmp_path: Path) -> None:
        zarr = pytest.importorskip("zarr", reason="the extra bio is not installed")
        root = zarr.open_group(str(tmp_path / "u.ome.zarr"), mode="w")
        axes = [{"name": axis, "type": "space", "unit": "micrometer"} for axis in "yx"]
        root.create_array("0", data=stack())
        change = [{"type": "scale", "scale": [0.4, 0.5]}]
        root.attrs["ome"] = {
            "version": "0.5",
            "multiscales": [{"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": change}]}],
        }
        with open_source(tmp_path / "u.ome.zarr") as source:
            assert source.placement is not None
            assert source.placement.micrometres == (0.5, 0.4)

    def test_a_group_without_a_picture_is_refused(self, tmp_path: Path) -> None:
        zarr = pytest.importorskip("zarr", reason="the extra bio is not installed")
        group = zarr.open_group(str(tmp_path / "g.zarr"), mode="w")
        group.create_group("inside")
        with pytest.raises(LikewiseError, match=r"Zarr group without a picture .*; it holds inside"):
            open_source(tmp_path / "g.zarr")

    def test_a_plain_array_of_two_axes_is_a_picture(self, tmp_path: Path) -> None:
        zarr = pytest.importorskip("zarr", reason="the extra bio is not installed")
        values = stack()
        zarr.save_array(str(tmp_path / "p.zarr"), values)
        check(tmp_path / "p.zarr", Choice(), values)

    def test_without_zarr_it_says_what_to_install(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "a.zarr").mkdir()
        (tmp_path / "a.zarr" / "zarr.json").write_text("{}")
        hide(monkeypatch, "zarr")
        with pytest.raises(LikewiseError, match=r"is a Zarr store, which needs zarr: pip install 'likewise\[bio\]'"):
            open_source(tmp_path / "a.zarr")


class TestGeo:
    @pytest.fixture
    def rasterio(self) -> Any:
        return pytest.importorskip("rasterio", reason="the extra geo is not installed")

    def write(self, rasterio: Any, path: Path, values: np.ndarray, **more: Any) -> None:
        place = {"crs": "EPSG:32733", "transform": rasterio.Affine(0.05, 0, 500000, 0, -0.1, 8000000)}
        shape = {"count": values.shape[0], "height": values.shape[1], "width": values.shape[2], "dtype": values.dtype}
        with rasterio.open(path, "w", driver="GTiff", **shape, **place, **more) as out:
            out.write(values)

    def test_coordinates_and_nodata(self, tmp_path: Path, rasterio: Any) -> None:
        values = RNG.integers(90, 110, (3, 40, 50), dtype=np.uint8)
        values[:, :, :10] = 0
        self.write(rasterio, tmp_path / "m.tif", values, nodata=0)
        with open_source(tmp_path / "m.tif") as source:
            seen, valid = source.whole()
            assert valid is not None
            assert (valid == (np.arange(50) >= 10)).all()
            assert (seen[:, 10:] == np.moveaxis(values, 0, -1)[:, 10:]).all()
            assert seen[:, :10].min() >= 90
            assert source.placement is not None
            assert source.placement.places([(20, 10)], "crs").tolist() == [[500001.0, 7999999.0]]

    def test_bands_have_names_and_overviews_are_read(self, tmp_path: Path, rasterio: Any) -> None:
        values = RNG.integers(0, 3000, (5, 128, 160)).astype(np.uint16)
        self.write(rasterio, tmp_path / "b.tif", values, tiled=True, blockxsize=64, blockysize=64)
        with rasterio.open(tmp_path / "b.tif", "r+") as out:
            out.descriptions = ("blue", "green", "red", "edge", "nir")
            out.build_overviews([2, 4])
        with pytest.raises(LikewiseError, match=r"holds 5 channels \(blue, green, red, edge, nir\)"):
            open_source(tmp_path / "b.tif")
        check(tmp_path / "b.tif", Choice(channel="nir"), values[4])
        with open_source(tmp_path / "b.tif", Choice(channel="nir")) as source:
            assert source.sizes == ((160, 128), (80, 64), (40, 32))
            assert source.read(scale=0.25).shape == (32, 40, 3)

    def test_transparent_places_are_nothing(self, tmp_path: Path, rasterio: Any) -> None:
        values = RNG.integers(90, 110, (4, 40, 50), dtype=np.uint8)
        values[3] = 255
        values[3, :5] = 0
        self.write(rasterio, tmp_path / "a.tif", values, photometric="RGB", alpha="YES")
        with open_source(tmp_path / "a.tif") as source:
            valid = source.whole()[1]
            assert valid is not None
            assert (valid == (np.arange(40) >= 5)[:, None]).all()


def test_a_slide_is_read_in_parts(tmp_path: Path) -> None:
    large_image = pytest.importorskip("large_image", reason="the extra slide is not installed")
    del large_image
    picture = RNG.integers(0, 256, (512, 640, 3), dtype=np.uint8)
    with tifffile.TiffWriter(tmp_path / "s.svs") as out:
        out.write(
            picture, tile=(256, 256), photometric="rgb", description="Aperio Image Library |MPP = 0.5|AppMag = 20"
        )
        out.write(picture[::2, ::2], tile=(256, 256), photometric="rgb", subfiletype=1)
    with open_source(tmp_path / "s.svs") as source:
        assert (source.width, source.height) == (640, 512)
        assert (source.read((100, 50, 300, 150)) == picture[50:150, 100:300]).all()
        assert source.read(scale=0.25).shape == (128, 160, 3)


class TestFrames:
    @pytest.fixture
    def film(self, tmp_path: Path) -> Path:
        av = pytest.importorskip("av", reason="the extra video is not installed")
        with av.open(str(tmp_path / "belt.mp4"), "w") as out:
            stream = out.add_stream("mpeg4", rate=5)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            for grey in range(0, 240, 20):
                picture = np.full((48, 64, 3), grey, np.uint8)
                out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            out.mux(stream.encode())
        return tmp_path / "belt.mp4"

    def test_some_frames_of_a_film(self, film: Path) -> None:
        found = list(open_frames(film, Frames.parse("1:12:4")))
        assert [frame.number for frame in found] == [1, 5, 9]
        assert [frame.seconds for frame in found] == pytest.approx([0.2, 1.0, 1.8])
        assert [frame.source.read().mean() for frame in found] == pytest.approx([20, 100, 180], abs=4)

    @pytest.mark.parametrize(("turned", "corner"), [(0, (0, 0)), (90, (-1, 0)), (-90, (0, -1)), (180, (-1, -1))])
    def test_a_film_is_seen_as_it_is_shown(self, tmp_path: Path, turned: int, corner: tuple[int, int]) -> None:
        av = pytest.importorskip("av", reason="the extra video is not installed")
        picture = np.zeros((64, 96, 3), np.uint8)
        picture[:24, :24] = 220  # the top left corner, as it is stored
        with av.open(str(tmp_path / "phone.mp4"), "w") as out:
            stream = out.add_stream("mpeg4", rate=5)
            stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
            if not hasattr(stream, "set_display_rotation"):
                pytest.skip("this PyAV writes no rotation")
            stream.set_display_rotation(turned)  # degrees against the clock
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            out.mux(stream.encode())
        [frame] = open_frames(tmp_path / "phone.mp4", Frames())
        assert frame.source.sizes[0] == ((64, 96) if turned in (90, -90) else (96, 64))
        bright = frame.source.read().mean(2) > 110
        assert bright[corner]
        assert bright.sum() == pytest.approx(24 * 24, rel=0.1)

    def test_a_film_is_no_picture_until_a_frame_is_chosen(self, film: Path) -> None:
        with pytest.raises(LikewiseError, match=r"holds 12 frames; choose one with --frames 0 to 11"):
            open_source(film)
        assert open_source(film, Choice(frame=11)).read().mean() == pytest.approx(220, abs=4)

    def test_a_stack_in_time(self, tmp_path: Path) -> None:
        values = stack(5)
        tifffile.imwrite(tmp_path / "t.tif", values, imagej=True, metadata={"axes": "TYX"})
        seen = [
            (frame.number, frame.source.read()[..., 0])
            for frame in open_frames(tmp_path / "t.tif", Frames.parse("::2"))
        ]
        assert [number for number, _ in seen] == [0, 2, 4]
        for number, pixels in seen:
            assert np.abs(pixels - mapped(values[number])).max() <= 1

    def test_one_picture_is_one_frame(self, tmp_path: Path) -> None:
        tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 5), np.uint8))
        assert [frame.number for frame in open_frames(tmp_path / "a.tif", Frames())] == [0]

    @pytest.mark.parametrize("text", ["x", "1:2:3:4", "1:2:0", "1,2", "", "1.5"])
    def test_nonsense_is_refused(self, text: str) -> None:
        with pytest.raises(LikewiseError, match="expected"):
            Frames.parse(text)

    def test_frames_that_are_not_there_are_refused(self) -> None:
        with pytest.raises(LikewiseError, match="there are 5, 0 to 4, and none of them"):
            Frames.parse("7:").of(5)

    def test_without_the_extra_it_says_what_to_install(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "a.mp4").write_bytes(b"film")
        hide(monkeypatch, "av")
        with pytest.raises(LikewiseError, match=r"is a film, which needs av: pip install 'likewise\[video\]'"):
            open_source(tmp_path / "a.mp4")


def hide(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    """Let a package be as if it were not installed."""
    real = builtins.__import__

    def importing(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.split(".", maxsplit=1)[0] == package:
            raise ModuleNotFoundError(name=package)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", importing)
    monkeypatch.setattr("likewise.sources.tiff.find_spec", lambda name: None if name == package else find_spec(name))
