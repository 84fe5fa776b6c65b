"""What light and camera do to a scene, none of which moves a pixel: labels stay exact."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from scipy.ndimage import uniform_filter1d

from likewise.data.decoders import open_image
from likewise.scenes.kinds.textures import LUMA, Floats, smooth_noise, upsample


@dataclass(frozen=True)
class Camera:
    """How a scene is lit and photographed.

    Attributes:
        light: strength of the uneven light.
        cast: spread of the white balance.
        vignette: darkening of the corners, 0 to 1.
        gamma: exponent of the tone curve.
        contrast: gain about mid-grey.
        blur: radius of the defocus in pixels.
        depth: the top of the picture is out of focus by this radius more, the bottom by nothing.
        motion: length of the motion blur in pixels.
        sharpen: strength of the sharpening that telephones apply, 0: none.
        shrink: the picture loses resolution by this factor (1: none).
        noise: spread of the sensor noise, in [0, 1].
        blotchy: the noise is smeared over a few pixels, as noise reduction leaves it.
        grey: the picture loses its colours.
        inverted: the picture is a negative.
        jpeg: quality of a first compression, None: none.
    """

    light: float = 0.0
    cast: float = 0.0
    vignette: float = 0.0
    gamma: float = 1.0
    contrast: float = 1.0
    blur: float = 0.0
    depth: float = 0.0
    motion: float = 0.0
    sharpen: float = 0.0
    shrink: float = 1.0
    noise: float = 0.0
    blotchy: bool = False
    grey: bool = False
    inverted: bool = False
    jpeg: int | None = None


def draw_camera(rng: Generator, size: float, *, slide: bool, colour: bool = False) -> Camera:
    """A camera at random.

    Args:
        rng: source of randomness.
        size: of the things in pixels: where they are small, little is blurred.
        slide: it is a microscope's, so often without colour.
        colour: colours must be kept, because they alone tell the kinds apart.
    """

    def sometimes(share: float, value: float) -> float:
        return value if rng.random() < share else 0.0

    blur_limit = min(3.0, 0.05 * size)
    return Camera(
        light=sometimes(0.6, rng.uniform(0.03, 0.22)),
        cast=sometimes(0.5, rng.uniform(0.02, 0.12)),
        vignette=sometimes(0.3, rng.uniform(0.1, 0.5)),
        gamma=float(np.exp(rng.normal(0, 0.18))),
        contrast=float(np.clip(rng.normal(0.95, 0.15), 0.5, 1.35)),
        blur=sometimes(0.45, rng.uniform(0.2, 1.0) * blur_limit),
        depth=sometimes(0.1, rng.uniform(0.5, 1.0) * blur_limit) if not slide else 0.0,
        motion=sometimes(0.08, rng.uniform(1.0, 1.0 + 0.12 * size)),
        sharpen=sometimes(0.25, rng.uniform(0.4, 2.0)),
        shrink=1 + sometimes(0.15, rng.uniform(0.2, 1.0) * min(1.0, size / 40)),
        noise=sometimes(0.5, rng.uniform(0.005, 0.05)),
        blotchy=bool(rng.random() < 0.35),
        grey=bool(rng.random() < (0.28 if slide else 0.06)) and not colour,
        inverted=bool(rng.random() < (0.1 if slide else 0.01)),
        jpeg=int(rng.integers(20, 75)) if rng.random() < 0.3 else None,
    )


def photograph(rng: Generator, pixels: NDArray[np.uint8], camera: Camera) -> NDArray[np.uint8]:
    """Light and photograph a scene (H, W, 3); the result has the same shape, every thing at the same place."""
    image = _optics(rng, Image.fromarray(pixels), camera)
    out = _tone(
        np.asarray(image, dtype=np.float32) / np.float32(255),
        _light(rng, pixels.shape[0], pixels.shape[1], camera),
        camera,
    )
    if camera.noise:
        channels = 1 if camera.grey or rng.random() < 0.5 else 3
        out = out + camera.noise * _noise(rng, pixels.shape[0], pixels.shape[1], channels, blotchy=camera.blotchy)
    final = (np.clip(out, 0, 1) * 255 + 0.5).astype(np.uint8)
    return final if camera.jpeg is None else _compressed(final, camera.jpeg)


def _optics(rng: Generator, image: Image.Image, camera: Camera) -> Image.Image:
    size = image.size
    if camera.shrink > 1:
        small = (round(size[0] / camera.shrink), round(size[1] / camera.shrink))
        image = image.resize(small, Image.Resampling.BOX).resize(size, Image.Resampling.BICUBIC)
    if camera.blur > 0.25:
        image = image.filter(ImageFilter.GaussianBlur(camera.blur))
    if camera.depth > 0.25:
        nearness = Image.linear_gradient("L").resize(size)
        image = Image.composite(image, image.filter(ImageFilter.GaussianBlur(camera.depth)), nearness)
    if camera.motion >= 2:
        axis = int(rng.integers(2))
        image = Image.fromarray(uniform_filter1d(np.asarray(image), int(camera.motion), axis=axis))
    if camera.sharpen:
        # of what was blurred and shrunk: halos, no new detail
        image = image.filter(ImageFilter.UnsharpMask(radius=1.5, percent=round(100 * camera.sharpen), threshold=0))
    return image


def _noise(rng: Generator, height: int, width: int, channels: int, *, blotchy: bool) -> Floats:
    """Sensor noise (height, width, channels) of unit spread."""
    noise = rng.standard_normal((height, width, channels), dtype=np.float32)
    if not blotchy:
        return noise
    smeared: Floats = 3 * uniform_filter1d(uniform_filter1d(noise, 3, axis=0), 3, axis=1)
    return smeared


def _light(rng: Generator, height: int, width: int, camera: Camera) -> Floats:
    """Gain (height, width, 1) or (1, 1, 1) times the colour cast (3,)."""
    cast = np.exp(rng.normal(0, camera.cast, 3)).astype(np.float32) if camera.cast else np.ones(3, dtype=np.float32)
    gain = np.ones((1, 1), dtype=np.float32)
    if camera.light:
        gain = np.exp(camera.light * smooth_noise(rng, height, width, max(height, width) / rng.uniform(1, 3)))
    if camera.vignette:
        y, x = np.linspace(-1, 1, 24, dtype=np.float32)[:, None], np.linspace(-1, 1, 24, dtype=np.float32)
        gain = gain * upsample(1 - np.float32(camera.vignette / 2) * (x**2 + y**2), height, width)
    return gain[..., None] * cast


def _tone(colour: Floats, gain: Floats, camera: Camera) -> Floats:
    out = np.clip(colour * gain, 0, 1)
    if abs(camera.gamma - 1) > 0.03:
        curve = np.linspace(0, 1, 1024, dtype=np.float32) ** np.float32(camera.gamma)
        out = curve[(out * 1023).astype(np.int32)]
    out = (out - 0.5) * camera.contrast + 0.5
    if camera.grey:
        out = np.repeat((out @ LUMA)[..., None], 3, axis=2)
    return 1 - out if camera.inverted else out


def _compressed(pixels: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return np.array(open_image(buffer))
