"""Background tasks end with their block, and loudly when they end before it."""

import asyncio

import pytest

from shared.background import running


async def test_a_task_ends_with_its_block_and_nobody_is_told() -> None:
    ended: list[str] = []
    broke: list[BaseException] = []
    began = asyncio.Event()

    async def work() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("work")

    async with running("work", work(), broke.append):
        await began.wait()
    assert (ended, broke) == (["work"], [])


@pytest.mark.parametrize("raised", [ValueError("an assumption"), None])
async def test_a_task_that_breaks_or_just_ends_is_told_once(raised: Exception | None) -> None:
    told: asyncio.Queue[BaseException] = asyncio.Queue()

    async def work() -> None:
        if raised is not None:
            raise raised

    async with running("work", work(), told.put_nowait):
        error = await told.get()
    assert error is raised or "work ended without being told" in str(error)
    assert told.empty()


async def test_what_goes_wrong_in_the_block_comes_out_of_it() -> None:
    broke: list[BaseException] = []
    with pytest.raises(KeyError):
        async with running("work", asyncio.sleep(60), broke.append):
            raise KeyError
    assert not broke
