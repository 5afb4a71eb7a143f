"""`chorus audit` finds each kind of damage, names it and nothing else."""

import pytest

from services.audit import counts, inboxes, log, photos, places, stream
from tests.e2e.audit.community import Copy, wrong
from tests.e2e.audit.damages import DAMAGES, Damage, sql


def turn_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is read in pages of a few rows."""
    monkeypatch.setattr(log, "POSITIONS", 7)
    monkeypatch.setattr(log, "ENTRIES", 5)
    monkeypatch.setattr(stream, "PAGE", 6)
    monkeypatch.setattr(inboxes, "PAGE", 1)
    for room in (counts, photos, places):
        monkeypatch.setattr(room, "PAGE", 3)


@pytest.mark.parametrize("often", [False, True], ids=["in large pages", "in small pages"])
async def test_a_demo_community_that_was_lived_in_is_healthy(
    copy: Copy, often: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if often:
        turn_often(monkeypatch)
    findings = await copy.audit()
    assert wrong(findings) == {}
    looked = {each.what: each.looked for each in findings}
    assert min(looked.values()) > 0, looked
    assert looked["versions in order"] == looked["positions dense"] == looked["streams of Redis"]


@pytest.mark.parametrize(("damage", "found", "said"), [each[1:] for each in DAMAGES], ids=[each[0] for each in DAMAGES])
async def test_each_kind_of_damage_is_found_and_named(
    copy: Copy, damage: Damage, found: set[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "SETTLES", 0.01)  # nobody publishes or trims meanwhile
    turn_often(monkeypatch)
    await damage(copy)
    findings = wrong(await copy.audit())
    assert set(findings) == found, findings
    assert any(said in each for each in findings.values()), findings


async def test_days_that_nobody_makes_are_found(copy: Copy) -> None:
    days = await copy.sql.fetch(
        "select relname from pg_class where relname ~ '^e(vent|ntry)_[0-9]{8}$' "
        "order by right(relname, 8) desc limit 10"
    )
    await copy.sql.execute(f"drop table {', '.join('eventlog.' + day['relname'] for day in days)}")
    assert set(wrong(await copy.audit())) == {"partitions"}


async def test_what_the_notifier_has_not_come_to_is_not_called_wrong(
    copy: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inboxes, "PATIENCE", 0.3)
    await sql("update feed.post set entities = '[]' where body like 'Found the ladder%'")(copy)
    await copy.sql.execute("select eventlog.append('7', 'x', '{post:7}', '{}')")
    findings = {each.what: each for each in await copy.audit()}
    assert [each.what for each in findings.values() if not each.ok] == ["causes stand"]
    assert findings["causes stand"].ok is None
    assert "the notifier has not handled" in findings["causes stand"].found
