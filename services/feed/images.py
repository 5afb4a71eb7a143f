"""Photos: what came in is looked at, never believed, and made anew in three sizes.

Owns decoding and encoding; neither HTTP nor storage. What is served is encoded from the pixels alone, so that no place,
camera or name travels along (EXIF, GPS, XMP, comments, whatever stands behind the picture), and colours are in sRGB.
"""

import asyncio
import hashlib
import io
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

import msgspec
from PIL import Image, ImageCms, UnidentifiedImageError

from shared.errors import Busy, Fault, Invalid, TooLarge, UnsupportedType

MAX_BYTES = 12 * 1024 * 1024
MAX_PIXELS = 50_000_000
"""What today's telephones make; decoded as RGB such a picture takes 150 MB for the second that it is worked on."""
MAX_EDGE = 30_000

SIZES = {"small": 480, "medium": 1080, "full": 2160}
"""The longest edge of each size, in pixels. A smaller picture is never enlarged."""
TYPE = "image/webp"

_FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
_QUALITY = 82
_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
# Everything that Pillow's decoders are known to raise on bytes that aren't what they say; its warnings are raised
# where warnings are errors.
_UNDECODABLE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    EOFError,
    LookupError,
    ArithmeticError,
    RuntimeError,
    struct.error,
    zlib.error,
    UserWarning,
)


class Processed(msgspec.Struct, frozen=True, kw_only=True):
    """A photo ready to be kept. Width and height in pixels are the full size's; `digest` is the original's sha256."""

    width: int
    height: int
    type: str
    digest: str
    small: bytes
    medium: bytes
    full: bytes

    def variants(self) -> dict[str, bytes]:
        """The three sizes by their names."""
        return {"small": self.small, "medium": self.medium, "full": self.full}


def process(data: bytes) -> Processed:
    """The three sizes of a JPEG, PNG, WebP or GIF (its first frame), turned as its EXIF says, as WebP.

    Raises TooLarge, UnsupportedType for what is none of these by its content, and Invalid with the code
    `too_many_pixels` (told by the header, before anything is decoded) or `corrupt`.
    """
    if len(data) > MAX_BYTES:
        raise TooLarge(f"At most {MAX_BYTES // 1_048_576} MB; this has {len(data) / 1_048_576:.1f}.")
    picture = _open(data)
    try:
        sizes = _resized(_upright(picture))
        encoded = {name: _encoded(image) for name, image in sizes.items()}
    except _UNDECODABLE as error:
        raise _invalid("corrupt", "The picture breaks off or is damaged.") from error
    full = sizes["full"]
    digest = hashlib.sha256(data).hexdigest()
    return Processed(width=full.width, height=full.height, type=TYPE, digest=digest, **encoded)


class Darkroom:
    """Works on photos in a few threads, so that the event loop goes on and memory stays bounded."""

    def __init__(self, workers: int = 2, waiting: int = 16) -> None:
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="darkroom")
        self._room = workers + waiting

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)

    async def process(self, data: bytes) -> Processed:
        """As `process`, in a thread. Raises Busy when too many photos wait already."""
        if not self._room:
            raise Busy("Too many photos at once.", retry_after=2)
        self._room -= 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, process, data)
        finally:
            self._room += 1


def _open(data: bytes) -> Image.Image:
    """The picture with its header read and nothing decoded."""
    try:
        picture = Image.open(io.BytesIO(data), formats=_FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_many_pixels() from error
    except UnidentifiedImageError as error:
        raise UnsupportedType("This is no JPEG, PNG, WebP or GIF by its content.") from error
    except _UNDECODABLE as error:
        raise _invalid("corrupt", "The picture's header is damaged.") from error
    width, height = picture.size
    if width * height > MAX_PIXELS or max(width, height) > MAX_EDGE:
        raise _too_many_pixels()
    return picture


def _upright(picture: Image.Image) -> Image.Image:
    """The decoded picture in sRGB, as RGB or RGBA, turned as it was taken, with nothing attached."""
    if picture.format in ("JPEG", "MPO"):
        # A JPEG can be decoded at an eighth, a quarter or half its size: a fraction of time and memory.
        picture.draft(None, (SIZES["full"], SIZES["full"]))
    picture.load()
    profile = picture.info.get("icc_profile")
    orientation = _orientation(picture)
    picture = _eight_bit(picture)
    if orientation is not None:
        picture = picture.transpose(orientation)
    if profile:
        picture = _to_srgb(picture, profile)
    mode = "RGBA" if picture.has_transparency_data else "RGB"
    picture = picture.convert(mode)
    picture.info = {}
    return picture


def _orientation(picture: Image.Image) -> Image.Transpose | None:
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    try:
        return turns.get(picture.getexif().get(0x0112, 1))
    except _UNDECODABLE:
        return None  # a damaged note beside a good picture


def _eight_bit(picture: Image.Image) -> Image.Image:
    """Sixteen-bit greys brought down to eight; other modes as they are."""
    if picture.mode.startswith("I") or picture.mode == "F":
        return picture.convert("I").point(lambda value: value / 256).convert("L")
    return picture


def _to_srgb(picture: Image.Image, profile: bytes) -> Image.Image:
    """Colours as the profile means them; a profile that can't be used is left out."""
    alpha = picture.convert("RGBA").getchannel("A") if picture.has_transparency_data else None
    if picture.mode not in ("RGB", "CMYK", "L"):
        picture = picture.convert("RGB")
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(picture, source, _SRGB, outputMode="RGB")
    except (ImageCms.PyCMSError, *_UNDECODABLE):
        converted = None
    picture = converted or picture.convert("RGB")
    if alpha is not None:
        picture.putalpha(alpha)
    return picture


def _resized(picture: Image.Image) -> dict[str, Image.Image]:
    sizes = {}
    for name, edge in sorted(SIZES.items(), key=lambda size: -size[1]):
        longest = max(picture.size)
        if longest > edge:
            width, height = (max(1, round(side * edge / longest)) for side in picture.size)
            picture = picture.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0)
        sizes[name] = picture
    return sizes


def _encoded(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "WEBP", quality=_QUALITY, method=4)
    return out.getvalue()


def _too_many_pixels() -> Invalid:
    return _invalid("too_many_pixels", f"At most {MAX_PIXELS:,} pixels, and {MAX_EDGE:,} on an edge.")


def _invalid(code: str, detail: str) -> Invalid:
    return Invalid(errors=[Fault(field="file", code=code, detail=detail)])
