"""`chorus audit` of photos that lie in S3: by the endpoint, the region and the keys of the settings."""

from collections.abc import Iterator

import msgspec
import pytest

from tests.e2e.audit.community import Copy, wrong
from tests.s3 import S3, s3_server

BUCKET = "/photos/of/chorus/"


@pytest.fixture
def s3(copy: Copy) -> Iterator[S3]:
    """Everything that lay in the folder lies there, and the settings say so."""
    with s3_server(secret="a secret of S3", region="eu-central-1") as server:
        for path in copy.media.rglob("*"):
            if path.is_file():
                server.objects[f"{BUCKET}{path.relative_to(copy.media).as_posix()}"] = path.read_bytes()
        copy.settings = msgspec.structs.replace(copy.settings, **server.settings())
        yield server


async def test_what_lies_there_is_healthy_and_what_is_lost_or_nobodys_is_named(copy: Copy, s3: S3) -> None:
    findings = await copy.audit()
    assert wrong(findings) == {}
    assert {each.looked for each in findings if each.what == "photos of files"} == {len(s3.objects)}
    lost = next(path for path in s3.objects if "/served/" in path)
    del s3.objects[lost]
    s3.objects[f"{BUCKET}served/00/{'0' * 64}/full.webp"] = b""
    said = wrong(await copy.audit())
    assert set(said) == {"files of photos", "photos of files"}
    assert lost.removeprefix(BUCKET) in said["files of photos"]


async def test_a_place_that_refuses_or_is_away_is_unknown_and_the_rest_is_looked_at(copy: Copy, s3: S3) -> None:
    copy.settings = msgspec.structs.replace(copy.settings, media_secret_key="another")
    findings = {each.what: each for each in await copy.audit()}
    assert {what for what, each in findings.items() if each.ok is None} == {"files of photos", "photos of files"}
    assert not [each for each in findings.values() if each.ok is False]
    assert "storage can't be asked: " in findings["files of photos"].found
    assert findings["positions dense"].looked
