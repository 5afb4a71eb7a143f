"""Photos: one in, its sizes out."""

from typing import Any

from litestar import Response, get, post
from multipart import (  # type: ignore[import-untyped]
    MultipartError,
    MultipartSegment,
    PushMultipartParser,
    parse_options_header,
)

from services.feed import text
from services.feed.api.answers import plain
from services.feed.api.doc import BODIES, READS, WRITES, Doc
from services.feed.api.requests import Ask, context_of, id_in_path, id_of, member_of, viewer
from services.feed.images import MAX_BYTES, SIZES
from services.feed.roles import State, may_see_story
from shared.errors import Fault, Invalid, NotFound, TooLarge, TooMany, Unparsable, UnsupportedType
from shared.wire import Media

_ROUND = 64 * 1024
"""Bytes that a form may hold beside the photo."""
_PARTS = 8


@post(
    "/v1/media",
    request_max_body_size=None,
    opt={"doc": Doc(form=True, answer=Media, status=201, member=True, errors=(*BODIES, *WRITES, TooMany))},
)
async def upload(request: Ask) -> Response[bytes]:
    """Send a photo (JPEG, PNG, WebP or GIF, told by its content) with words for those who can't see it.

    It is made anew in three sizes; place, camera and all else that stood in the file are not kept.
    """
    context, member = context_of(request), await member_of(request)
    context.limits.writes.take(member.author.id)
    parts = await _parts(request)
    faults = [
        Fault(field=name[:64], code="unknown", detail="No such part.") for name in parts if name not in ("file", "alt")
    ]
    if not parts.get("file"):
        faults.append(Fault(field="file", code="required", detail="Send the photo in a part named `file`."))
    alt = _decoded(parts.get("alt", b""), faults)
    if faults:
        raise Invalid(errors=faults)
    photo = await context.photos.take(member.id, parts["file"], alt)
    return plain(photo, 201)


@get(
    "/media/{media_id:str}/{size:str}",
    opt={"doc": Doc(answer=bytes, media_type="image/webp", errors=(*READS, NotFound))},
)
async def media_file(request: Ask) -> Response[bytes]:
    """One size of a photo: `small`, `medium` or `full`. The same bytes for ever.

    The cover of a story that is not published is there for those alone who may read the story.
    """
    size = request.path_params["size"]
    if size not in SIZES:
        raise NotFound("There is no such size.")
    file = await context_of(request).photos.file(id_in_path(request, "media_id"), size)
    if file.author is not None and file.state is not None:
        await _check_reader(request, file.author, file.state)
    headers = {
        "Cache-Control": "public, max-age=31536000, immutable" if file.author is None else "private, no-store",
        "Content-Security-Policy": "default-src 'none'",
    }
    return Response(file.content, headers=headers, media_type=file.type)


async def _check_reader(request: Ask, author: int, state: State) -> None:
    """Raises NotFound for who may not see the story, as for a photo that is not there; NotSignedIn for a bad token."""
    member = await viewer(request)
    role = "member" if member is None else (await context_of(request).roles.of(member.id)).role
    if not may_see_story(id_of(member), role, author, state):
        raise NotFound("There is no such photo.")


async def _parts(request: Ask) -> dict[str, bytes]:
    """The parts of a form by name, read as they come and never more of them than is taken.

    Raises UnsupportedType, TooLarge, Unparsable, and Invalid for a part that comes twice.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != "multipart/form-data" or not options.get("boundary"):
        raise UnsupportedType("Send the photo as multipart/form-data.")
    found: dict[str, bytearray] = {}
    name, size = "", 0
    try:
        with PushMultipartParser(options["boundary"], max_segment_count=_PARTS) as parser:
            async for chunk in request.stream():
                size += len(chunk)
                if size > MAX_BYTES + _ROUND:
                    raise TooLarge(f"At most {MAX_BYTES // 1_048_576} MB.")
                for event in parser.parse(chunk):
                    if isinstance(event, MultipartSegment):
                        name = event.name
                        if name in found:
                            raise Invalid(errors=[Fault(field=name[:64], code="repeated", detail="Send it once.")])
                        found[name] = bytearray()
                    elif event:
                        found[name] += event
    except (MultipartError, UnicodeError, ValueError) as error:
        raise Unparsable("The form breaks off or is damaged.") from error
    return {name: bytes(content) for name, content in found.items()}


def _decoded(raw: bytes, faults: list[Fault]) -> str | None:
    """The alternative text; None for an empty one."""
    if not raw:
        return None
    try:
        alt = raw.decode()
    except UnicodeDecodeError:
        faults.append(Fault(field="alt", code="encoding", detail="Send the text in UTF-8."))
        return None
    faults += text.check_text(alt, field="alt", maximum=text.ALT_LENGTH[1])
    return alt


ROUTES: list[Any] = [upload, media_file]
