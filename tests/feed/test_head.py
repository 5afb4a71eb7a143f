"""HEAD tells what GET would, without the body, at every door."""

from tests.feed.community import Community

OF_A_MOMENT = {"x-request-id": "", "date": ""}


async def test_head_is_get_without_its_body(community: Community) -> None:
    ada = await community.member("ada")
    post = await ada.post("Take a breath. #calm")
    paths = ["/", "/v1/topics", "/v1/topics/calm/posts", f"/v1/posts/{post['id']}", "/openapi.json", "/live.js"]
    for path in paths:
        got, head = await community.get(path), await community.http.head(path)
        assert (head.status_code, head.content) == (200, b""), path
        assert {**head.headers, **OF_A_MOMENT} == {**got.headers, **OF_A_MOMENT}, path
        if "etag" in got.headers:
            known = {"If-None-Match": got.headers["etag"]}
            assert (await community.http.head(path, headers=known)).status_code == 304
    assert (await community.http.head("/v1/sessions")).status_code == 405
    assert (await community.http.head("/nothing-here")).status_code == 404
