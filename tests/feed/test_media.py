"""Photos: taken by their content, made anew, attached once, served as they are for ever."""

import io
import struct
import zlib
from typing import Any

import httpx
from PIL import Image

from tests.feed.community import Community, Member, faults, made, problem


def picture(kind: str = "JPEG", size: tuple[int, int] = (640, 480), **options: Any) -> bytes:
    """A small picture's file."""
    out = io.BytesIO()
    Image.new("RGB", size, (200, 120, 40)).save(out, kind, **options)
    return out.getvalue()


def bomb() -> bytes:
    """A PNG of some kilobytes that says it is 40,000 by 40,000 pixels."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 100_000))
        + chunk(b"IEND", b"")
    )


async def upload(member: Member, content: bytes, alt: str | bytes | None = "A desk", **options: Any) -> httpx.Response:
    data = {} if alt is None else {"alt": alt}
    return await member.call("POST", "/v1/media", files={"file": ("p.jpg", content)}, data=data, **options)


async def test_a_photo_is_served_in_three_sizes_without_what_the_camera_wrote(community: Community) -> None:
    ada = await community.member()
    exif = Image.Exif()
    exif[0x010F] = "A telltale camera"
    photo = made(await upload(ada, picture(size=(2400, 1200), exif=exif)))
    assert (photo["alt"], photo["width"], photo["height"]) == ("A desk", 2160, 1080)
    assert set(photo["urls"]) == {"small", "medium", "full"}
    for url in photo["urls"].values():
        response = await community.get(url)
        assert response.status_code == 200
        assert response.headers["content-type"] == "image/webp"
        assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert b"telltale" not in response.content
        assert Image.open(io.BytesIO(response.content)).format == "WEBP"


async def test_a_post_carries_photos_in_the_order_asked(community: Community) -> None:
    ada = await community.member()
    photos = [made(await upload(ada, picture(size=(8, n)), None if n == 2 else f"{n}")) for n in (1, 2, 3)]
    ids = [photos[n]["id"] for n in (2, 0, 1)]
    post = await ada.post("Look #here", media=ids)
    assert post["media"] == [photos[2], photos[0], photos[1]]
    assert made(await community.get(f"/v1/posts/{post['id']}"))["media"] == post["media"]
    (event,) = [event for event in await community.events() if event["type"] == "post.created"]
    assert event["post"]["media"] == post["media"]


async def test_a_photo_is_its_owners_and_stands_in_one_post(community: Community) -> None:
    ada, ben = await community.member(), await community.member()
    photo = made(await upload(ada, picture()))
    post = await ada.post("mine", media=[photo["id"]])
    other = made(await upload(ada, picture()))
    before = await community.row_counts()
    body = {"body": "x #made_with_it", "media": [other["id"], photo["id"]]}
    assert faults(await ada.call("POST", "/v1/posts", body)) == {("media.1", "taken")}
    assert faults(await ben.call("POST", "/v1/posts", {**body, "media": [other["id"]]})) == {("media.0", "not_found")}
    assert await community.row_counts() == before
    edited = made(
        await ada.call("PATCH", f"/v1/posts/{post['id']}", {"version": 1, "media": [other["id"], photo["id"]]})
    )
    assert [each["id"] for each in edited["media"]] == [other["id"], photo["id"]]
    same = {"version": 2, "media": [other["id"], photo["id"]]}
    assert made(await ada.call("PATCH", f"/v1/posts/{post['id']}", same)) == edited


async def test_photos_go_with_their_post_or_when_an_edit_leaves_them_out(community: Community) -> None:
    ada = await community.member()
    kept, left = made(await upload(ada, picture())), made(await upload(ada, picture(size=(9, 9))))
    post = await ada.post("x", media=[left["id"], kept["id"]])
    edited = made(await ada.call("PATCH", f"/v1/posts/{post['id']}", {"version": 1, "media": [kept["id"]]}))
    assert edited["media"] == [kept]
    problem(await community.get(left["urls"]["small"]), 404)
    assert (await community.get(kept["urls"]["small"])).status_code == 200
    await ada.call("DELETE", f"/v1/posts/{post['id']}")
    problem(await community.get(kept["urls"]["small"]), 404)


async def test_what_is_no_photo_is_refused_and_leaves_nothing(community: Community) -> None:
    ada = await community.member()
    before = await community.row_counts()
    problem(await upload(ada, b"not a picture at all"), 415, "unsupported_type")
    problem(await upload(ada, b"<svg xmlns='http://www.w3.org/2000/svg'/>"), 415, "unsupported_type")
    problem(await upload(ada, picture("BMP")), 415, "unsupported_type")
    assert faults(await upload(ada, picture()[:400])) == {("file", "corrupt")}
    assert faults(await upload(ada, bomb())) == {("file", "too_many_pixels")}
    problem(await upload(ada, b"\xff\xd8" + bytes(13 * 1024 * 1024)), 413, "too_large")
    assert await community.row_counts() == before


async def test_a_form_that_is_not_one_is_refused_by_name(community: Community) -> None:
    ada = await community.member()
    before = await community.row_counts()
    assert faults(await upload(ada, b"")) == {("file", "required")}
    assert faults(await upload(ada, picture(), "x" * 1501)) == {("alt", "too_long")}
    assert faults(await upload(ada, picture(), "a\x07b")) == {("alt", "control_character")}
    assert faults(await upload(ada, picture(), b"\xff\xfe")) == {("alt", "encoding")}
    both = [("file", ("a.jpg", picture())), ("file", ("b.jpg", picture()))]
    assert faults(await ada.call("POST", "/v1/media", files=both)) == {("file", "repeated")}
    extra = {"file": ("a.jpg", picture()), "note": ("", b"x")}
    assert faults(await ada.call("POST", "/v1/media", files=extra)) == {("note", "unknown")}
    problem(await ada.call("POST", "/v1/media", {"file": "x"}), 415)
    for kind in ("multipart/form-data", "multipart/form-data; boundary=", "text/plain", ""):
        problem(await ada.call("POST", "/v1/media", content=b"--x", headers={"Content-Type": kind}), 415)
    broken = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nabc'
    for content in (broken, b"--x--", b"", b"\0" * 100, b"--x\r\n\r\n\r\n--x--"):
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        refused = await ada.call("POST", "/v1/media", content=content, headers=headers)
        assert problem(refused, refused.status_code)["status"] in (400, 422)
    problem(await community.http.post("/v1/media", files={"file": ("a.jpg", picture())}), 401)
    assert await community.row_counts() == before


async def test_a_size_that_is_not_made_is_not_found(community: Community) -> None:
    ada = await community.member()
    photo = made(await upload(ada, picture()))
    problem(await community.get(f"/media/{photo['id']}/original"), 404)
