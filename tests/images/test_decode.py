from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from facelearn.errors import DataError
from facelearn.images.decode import ImageError, decode_image, image_facts, looks_like_image
from support.pictures import encoded, gradient, save_picture


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_formats_come_back_as_they_are(kind: str) -> None:
    data = encoded(Image.fromarray(gradient()), kind)
    assert looks_like_image(data)
    np.testing.assert_array_equal(decode_image(data), gradient())
    facts = image_facts(data)
    assert (facts.width, facts.height, facts.channels, facts.frames) == (40, 30, 3, 1)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "GIF"])
def test_lossy_formats_are_close(kind: str) -> None:
    data = encoded(Image.fromarray(gradient()), kind)
    assert looks_like_image(data)
    assert np.abs(decode_image(data).astype(int) - gradient()).mean() < 8


def test_paths_bytes_and_files_are_the_same(tmp_path: Path) -> None:
    path = save_picture(tmp_path / "a.png")
    expected = decode_image(path)
    np.testing.assert_array_equal(decode_image(str(path)), expected)
    np.testing.assert_array_equal(decode_image(path.read_bytes()), expected)
    with path.open("rb") as file:
        np.testing.assert_array_equal(decode_image(file), expected)


def test_color_on_request() -> None:
    data = encoded(Image.fromarray(gradient()), "PNG")
    grey = decode_image(data, color="grey")
    assert grey.shape == (30, 40, 1)
    luma = gradient() @ np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
    assert np.abs(grey[..., 0] - luma).max() <= 1
    own = decode_image(encoded(Image.fromarray(gradient()[..., 0]), "PNG"))
    assert own.shape == (30, 40, 1)
    rgb = decode_image(encoded(Image.fromarray(gradient()[..., 0]), "PNG"), color="rgb")
    np.testing.assert_array_equal(rgb, own.repeat(3, 2))
    with pytest.raises(DataError, match="'grey', 'rgb' or None"):
        decode_image(data, color="gray")  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied_once(kind: str, orientation: int) -> None:
    upright = Image.new("RGB", (32, 48), "black")
    upright.paste((255, 255, 255), (0, 0, 16, 16))  # white in the top-left
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the inverse of each turn, as Pillow numbers them
    stored = upright.transpose(Image.Transpose(back[orientation])) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(stored, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
    decoded = decode_image(data)
    assert decoded.shape == (48, 32, 3)
    assert decoded[:12, :12].min() > 200 and decoded[20:].max() < 50 and decoded[:, 20:].max() < 50
    facts = image_facts(data)
    assert (facts.width, facts.height) == (32, 48)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF:UserWarning")  # Pillow's own, once
def test_damaged_exif_does_not_cost_the_photo() -> None:
    data = encoded(Image.fromarray(gradient()), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\xffgarbage")
    assert decode_image(data).shape == (30, 40, 3)


def test_16_bit_is_scaled_by_its_depth_not_by_its_content() -> None:
    deep = np.array([[0, 255, 256, 32768, 65535]], np.uint16)
    data = encoded(Image.fromarray(deep), "PNG")
    np.testing.assert_array_equal(decode_image(data)[0, :, 0], [0, 0, 1, 128, 255])
    dark = encoded(Image.fromarray(np.full((4, 4), 300, np.uint16)), "PNG")
    assert decode_image(dark).max() == 1
    tiff = encoded(Image.fromarray(deep), "TIFF")
    np.testing.assert_array_equal(decode_image(tiff)[0, :, 0], [0, 0, 1, 128, 255])
    pgm = b"P5 5 1 65535\n" + deep.astype(">u2").tobytes()
    np.testing.assert_array_equal(decode_image(pgm)[0, :, 0], [0, 0, 1, 128, 255])


def test_32_bit_has_no_range() -> None:
    with pytest.raises(ImageError, match="32 bits"):
        decode_image(encoded(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF"))


def test_cmyk_becomes_rgb() -> None:
    red = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    pixels = decode_image(encoded(red, "JPEG"))
    assert pixels.shape == (16, 16, 3) and np.abs(pixels.reshape(-1, 3).mean(0) - (255, 0, 0)).max() < 12


def test_transparency_is_over_white() -> None:
    clear = Image.new("RGBA", (8, 8), (10, 20, 30, 0))
    clear.putpixel((0, 0), (10, 20, 30, 255))
    pixels = decode_image(encoded(clear, "PNG"))
    assert pixels.shape == (8, 8, 3) and pixels[1:].min() == 255 and tuple(pixels[0, 0]) == (10, 20, 30)
    grey = decode_image(encoded(Image.new("LA", (8, 8), (10, 0)), "PNG"))
    assert grey.shape == (8, 8, 1) and grey.min() == 255
    palette = Image.new("P", (8, 8), 0)
    palette.putpalette([200, 10, 10] * 2)
    assert decode_image(encoded(palette, "PNG", transparency=0)).min() == 255
    assert tuple(decode_image(encoded(palette, "PNG"))[0, 0]) == (200, 10, 10)
    bilevel = decode_image(encoded(Image.new("1", (8, 8), 1), "PNG"))
    assert bilevel.shape == (8, 8, 1) and bilevel.min() == 255


def test_animation_gives_its_first_frame() -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert image_facts(data).frames == 2
    assert tuple(decode_image(data)[0, 0]) == (255, 0, 0)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP"])
def test_a_cut_file_is_refused(kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    for end in (len(data) // 2, len(data) - 64):
        with pytest.raises(ImageError, match=r"truncated or damaged|header is damaged"):
            decode_image(data[:end])


def test_what_is_no_image() -> None:
    with pytest.raises(ImageError, match="empty"):
        decode_image(b"")
    with pytest.raises(ImageError, match=r"not an image.*JPEG, PNG"):
        decode_image(b"hello, this is text")
    with pytest.raises(ImageError, match="missing"):
        decode_image(Path("/nowhere/photo.jpg"))
    with pytest.raises(ImageError, match="cannot be read"):
        decode_image(Path("/"))
    with pytest.raises(ImageError, match="empty"):
        image_facts(io.BytesIO(b""))


def _png_header(width: int, height: int) -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    return head + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))


@pytest.mark.parametrize("side", [9_500, 12_000, 100_000])
def test_a_bomb_is_refused_by_its_header(side: int) -> None:
    with pytest.raises(ImageError, match="limit of 89,000,000"):
        decode_image(_png_header(side, side))
    with pytest.raises(ImageError, match="limit"):
        image_facts(_png_header(side, side))


def test_the_limit_can_be_set() -> None:
    data = encoded(Image.fromarray(gradient()), "PNG")
    with pytest.raises(ImageError, match="40 x 30 pixels, over the limit of 1,000"):
        decode_image(data, max_pixels=1000)
    assert decode_image(data, max_pixels=1200).shape == (30, 40, 3)


@given(st.data())
def test_damaged_bytes_give_an_image_or_our_error(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["JPEG", "PNG", "GIF", "TIFF", "BMP", "WEBP", "PPM"]))
    raw = bytearray(encoded(Image.fromarray(gradient(9, 7)), kind))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        pixels = decode_image(bytes(raw), max_pixels=1_000_000)
    except ImageError:
        return
    assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] in (1, 3)
