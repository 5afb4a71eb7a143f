"""Photos by their content, made anew without what came along, whatever is sent as one."""

import asyncio
import io
import struct
import zlib

import pytest
from PIL import Image, ImageCms

from services.feed import images
from shared.errors import Busy, ChorusError, Invalid, TooLarge, UnsupportedType


def picture(mode: str = "RGB", size: tuple[int, int] = (640, 400)) -> Image.Image:
    """Left half red, right half blue, so that a turn can be seen."""
    made = Image.new("RGB", size, (0, 0, 255))
    made.paste((255, 0, 0), (0, 0, size[0] // 2, size[1]))
    return made.convert(mode)


def saved(made: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    made.save(out, kind, **options)
    return out.getvalue()


def shown(content: bytes) -> Image.Image:
    opened = Image.open(io.BytesIO(content))
    opened.load()
    return opened


def png_header(width: int, height: int) -> bytes:
    """A PNG that ends where its pixels would begin."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    start = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + start + struct.pack(">I", 1000) + b"IDAT"


def is_red(pixel: object) -> bool:
    red, green, blue = pixel[:3]  # type: ignore[index]
    return bool(red > 200 and green < 60 and blue < 60)


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        *(("JPEG", "RGB"), ("JPEG", "CMYK"), ("JPEG", "L"), ("PNG", "RGB"), ("PNG", "RGBA"), ("PNG", "P")),
        *(("PNG", "LA"), ("PNG", "1"), ("PNG", "I;16"), ("WEBP", "RGB"), ("WEBP", "RGBA"), ("GIF", "P")),
    ],
)
def test_every_kind_and_mode_becomes_three_sizes(kind: str, mode: str) -> None:
    source = Image.new("I;16", (640, 400), 40_000) if mode == "I;16" else picture(mode)
    done = images.process(saved(source, kind))
    assert (done.width, done.height, done.type) == (640, 400, "image/webp")
    assert {name: shown(content).size for name, content in done.variants().items()} == {
        "small": (480, 300),
        "medium": (640, 400),
        "full": (640, 400),
    }
    if mode in ("RGB", "CMYK", "RGBA", "P"):
        assert is_red(shown(done.full).getpixel((20, 20)))
    if mode == "I;16":
        assert shown(done.full).getpixel((20, 20)) == pytest.approx((156, 156, 156), abs=3)


def test_a_large_picture_is_brought_down_and_a_small_one_never_up() -> None:
    large = images.process(saved(picture(size=(3000, 1000)), "JPEG"))
    assert (large.width, large.height) == (2160, 720)
    assert shown(large.medium).size == (1080, 360)
    tiny = images.process(saved(picture(size=(3, 1)), "PNG"))
    assert shown(tiny.small).size == shown(tiny.full).size == (3, 1)


def test_place_camera_and_name_do_not_travel_along() -> None:
    exif = Image.Exif()
    exif[0x010F] = "Camera maker"
    exif.get_ifd(0x8825)[2] = (52.0, 5.0, 1.0)
    exif[0x013B] = "Full Name"
    secret = saved(picture(), "JPEG", exif=exif, comment=b"Full Name", xmp=b"<x:xmpmeta>Full Name</x:xmpmeta>")
    assert b"Full Name" in secret
    for content in images.process(secret).variants().values():
        assert b"Full Name" not in content
        assert b"Camera" not in content
        assert not any(chunk in content for chunk in (b"EXIF", b"XMP ", b"ICCP"))
        assert not shown(content).getexif()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_stands_as_it_was_taken(orientation: int) -> None:
    upright = picture(size=(400, 200))
    undo = {
        1: lambda im: im,
        2: lambda im: im.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        3: lambda im: im.transpose(Image.Transpose.ROTATE_180),
        4: lambda im: im.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
        5: lambda im: im.transpose(Image.Transpose.TRANSPOSE),
        6: lambda im: im.transpose(Image.Transpose.ROTATE_90),
        7: lambda im: im.transpose(Image.Transpose.TRANSVERSE),
        8: lambda im: im.transpose(Image.Transpose.ROTATE_270),
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    done = images.process(saved(undo[orientation](upright), "JPEG", exif=exif))
    assert (done.width, done.height) == (400, 200)
    assert is_red(shown(done.full).getpixel((20, 100)))
    assert not is_red(shown(done.full).getpixel((380, 100)))


def test_colours_are_brought_to_srgb_by_their_profile() -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    done = images.process(saved(picture(), "JPEG", icc_profile=lab))
    assert is_red(shown(done.full).getpixel((20, 20)))
    assert "icc_profile" not in shown(done.full).info
    unusable = images.process(saved(picture("RGBA"), "PNG", icc_profile=b"not a profile"))
    assert is_red(shown(unusable.full).getpixel((20, 20)))


def test_of_an_animation_the_first_frame_is_taken() -> None:
    frames = [Image.new("P", (40, 40), 0), Image.new("P", (40, 40), 1)]
    frames[0].putpalette([255, 0, 0, 0, 0, 255])
    frames[1].putpalette([255, 0, 0, 0, 0, 255])
    done = images.process(saved(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert is_red(shown(done.full).getpixel((5, 5)))
    assert getattr(shown(done.full), "n_frames", 1) == 1


def test_what_is_transparent_stays_so() -> None:
    clear = Image.new("RGBA", (20, 20), (255, 0, 0, 0))
    assert shown(images.process(saved(clear, "PNG")).full).getpixel((5, 5))[3] == 0  # type: ignore[index]


@pytest.mark.parametrize(("width", "height"), [(60_000, 60_000), (10_000, 10_000), (40_000, 1), (2**31, 2**31)])
def test_a_bomb_is_refused_by_its_header_alone(width: int, height: int) -> None:
    bomb = png_header(width, height) + b"\0" * 20  # nothing behind the header could be decoded
    with pytest.raises(Invalid) as refused:
        images.process(bomb)
    assert [fault.code for fault in refused.value.errors] == ["too_many_pixels"]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
def test_a_picture_that_breaks_off_is_refused(kind: str) -> None:
    noise = Image.effect_noise((300, 300), 90).convert("RGB")
    whole = saved(noise, kind)
    for kept in (len(whole) // 2, len(whole) - 300, 30):
        with pytest.raises((Invalid, UnsupportedType)):
            images.process(whole[:kept])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%PDF-1.7",
        b"BM" + b"\0" * 60,
        b"\x89PNG\r\n\x1a\n",
    ],
)
def test_what_is_no_picture_is_refused_by_its_content(data: bytes) -> None:
    with pytest.raises((UnsupportedType, Invalid)):
        images.process(data)


def test_a_kind_not_taken_is_refused_though_it_is_a_picture() -> None:
    for kind in ("BMP", "TIFF", "ICO"):
        with pytest.raises(UnsupportedType):
            images.process(saved(picture(), kind))


def test_what_hides_behind_a_picture_is_not_served() -> None:
    polyglot = saved(picture(), "JPEG") + b"<script>alert(1)</script>PK\x03\x04"
    for content in images.process(polyglot).variants().values():
        assert b"<script>" not in content


def test_too_many_bytes_are_refused_unread() -> None:
    with pytest.raises(TooLarge):
        images.process(b"\xff\xd8\xff" + b"\0" * images.MAX_BYTES)


def _flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x5A]) + data[at + 1 :]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
def test_damage_anywhere_is_answered_never_thrown(kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {} if kind == "GIF" else {"exif": exif}
    whole = saved(picture(size=(24, 16)), kind, **options)
    for at in range(min(len(whole), 400)):
        try:
            images.process(_flipped(whole, at))
        except ChorusError as error:
            assert error.status in (415, 422)  # noqa: PT017 - either outcome is right


async def test_the_darkroom_says_when_it_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = saved(picture(size=(24, 16)), "PNG")
    async with images.Darkroom(workers=1, waiting=1) as darkroom:
        first, second = (asyncio.create_task(darkroom.process(whole)) for _ in range(2))
        await asyncio.sleep(0)  # both have taken their place
        with pytest.raises(Busy):
            await darkroom.process(whole)
        assert (await first).digest == (await second).digest
        assert (await darkroom.process(whole)).width == 24
