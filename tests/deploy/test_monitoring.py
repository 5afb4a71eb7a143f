"""Alerts and panels against what the processes really tell; every alert has its remedy in the operator's page."""

import asyncio
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec

from services.bench.stack import free_port
from tests.deploy.compose import ROOT, services
from tests.needed import needed
from tests.stack import PATIENCE, Service, Stack

PROMETHEUS = ROOT / "monitoring" / "prometheus"
GRAFANA = ROOT / "monitoring" / "grafana"
OF_PROMETHEUS = {"up"}
_NAME = re.compile(r"\b(?:chorus|process)_[a-z0-9_]+|\bup\b(?=[{ ])")
_SELECTED = re.compile(r"((?:chorus|process)_[a-z0-9_]+)\{([^}]*)\}")


def rules() -> list[dict[str, Any]]:
    """Every alert."""
    file = msgspec.yaml.decode((PROMETHEUS / "alerts.yml").read_text())
    return [rule for group in file["groups"] for rule in group["rules"]]


def dashboards() -> Iterator[dict[str, Any]]:
    for path in sorted((GRAFANA / "dashboards").glob("*.json")):
        yield json.loads(path.read_text())


def expressions() -> list[str]:
    """Of every alert and panel."""
    shown = [target["expr"] for board in dashboards() for panel in board["panels"] for target in panel["targets"]]
    return [*(rule["expr"] for rule in rules()), *shown]


async def told(stack: Stack, sequencer_port: int) -> str:
    """What feed, notify and the publishing process tell of themselves."""
    urls = [stack.url, stack.notify.url, f"http://127.0.0.1:{sequencer_port}"]
    async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(retries=20), timeout=20) as http:
        async with asyncio.timeout(PATIENCE):
            while True:
                text = "".join([(await http.get(f"{url}/metrics")).text for url in urls])
                if 'chorus_consumer_lag_positions{consumer="notifier"' in text and "chorus_live_position{" in text:
                    return text
                await asyncio.sleep(0.1)


async def test_every_metric_that_an_alert_or_a_panel_names_is_told(services: Stack) -> None:
    port = free_port()
    command = {**services.sequencer._env, "CHORUS_SEQUENCER_PORT": str(port)}
    standby = Service("standby", "sequencer", command, services.feed.log.with_name("standby.log"), None)
    standby.start(wait=False)
    try:
        async with httpx.AsyncClient(base_url=services.url) as http:
            await http.get("/v1/topics")
        text = await told(services, port)
    finally:
        standby.stop()
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    ends = {"counter": ("",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",), "info": ("",)}
    known = {f"{name}{end}" for name, kind in kinds.items() for end in ends[kind]} | OF_PROMETHEUS
    asked = {name for expression in expressions() for name in _NAME.findall(expression)}
    assert len(asked) > 15
    assert asked <= known, asked - known
    labelled = {name: set(re.findall(r"(\w+)=", labels)) for name, labels in re.findall(r"^(\w+)\{(.*)\} ", text, re.M)}
    for expression in expressions():
        for name, selector in _SELECTED.findall(expression):
            wanted = set(re.findall(r"(\w+)(?:=~?|!=)", selector)) - {"job", "instance"}
            assert name not in labelled or wanted <= labelled[name], expression


def test_every_alert_has_its_remedy_in_the_operators_page_and_every_remedy_its_alert() -> None:
    page = (ROOT / "docs" / "OPERATING.md").read_text()
    alerts = {rule["alert"]: rule for rule in rules()}
    described = dict(re.findall(r"^### (Chorus\w+)\n\n(.+?)(?=\n#|\Z)", page, re.MULTILINE | re.DOTALL))
    assert set(described) == set(alerts)
    for name, rule in alerts.items():
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["remedy"] == f"docs/OPERATING.md#{name.lower()}"
        assert len(described[name]) > 80, f"{name}: say what to do"


def test_what_the_operators_page_tells_to_look_for_is_there() -> None:
    page = (ROOT / "docs" / "OPERATING.md").read_text()
    named = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", page)) - set(services())
    sources = [path for top in ("services", "shared", "deploy") for path in (ROOT / top).rglob("*.*") if path.is_file()]
    code = "".join(path.read_text(errors="ignore") for path in sources if path.suffix in (".py", ".sql", ".sh"))
    elsewhere = {"max_connections", "max_wal_size", "pg_stat_activity", "stop_grace_period", "pg_dump"}
    missing = {name for name in named - elsewhere if not re.search(rf"\b{name}", code)}
    assert not missing


def test_what_the_issue_asks_to_be_watched_is_watched() -> None:
    alerts = {rule["alert"].removeprefix("Chorus") for rule in rules()}
    assert {"LiveLag", "PublishingLag", "SlowDelivery", "SocketsThrownOut", "DiskLow", "PoolFull"} <= alerts
    panels = " ".join(panel["title"] for board in dashboards() for panel in board["panels"])
    for what in (
        "Lag of the live side",
        "not published",
        "Open sockets",
        "Commit to socket",
        "closed",
        "Disk",
        "Postgres",
    ):
        assert what in panels


def test_prometheus_asks_every_replica_at_the_port_that_it_listens_on() -> None:
    file = msgspec.yaml.decode((PROMETHEUS / "prometheus.yml").read_text())
    asked = {
        job["job_name"]: (found["names"], found["type"], found["port"])
        for job in file["scrape_configs"]
        for found in job["dns_sd_configs"]
    }
    assert asked == {
        name: ([name], "A", port) for name, port in (("feed", 8000), ("notify", 8001), ("sequencer", 8002))
    }
    assert all("back" in services()[name]["networks"] for name in (*asked, "prometheus"))
    assert str(asked["sequencer"][2]) == services()["sequencer"]["environment"]["CHORUS_SEQUENCER_PORT"]
    assert file["rule_files"] == ["alerts.yml"]


def test_panels_ask_the_data_source_that_is_provisioned() -> None:
    [source] = msgspec.yaml.decode((GRAFANA / "provisioning/datasources/prometheus.yml").read_text())["datasources"]
    [provider] = msgspec.yaml.decode((GRAFANA / "provisioning/dashboards/chorus.yml").read_text())["providers"]
    mounts = services()["grafana"]["volumes"]
    assert any(mount.endswith(f":{provider['options']['path']}:ro") for mount in mounts)
    for board in dashboards():
        asked = {each["datasource"]["uid"] for panel in board["panels"] for each in (panel, *panel["targets"])}
        assert asked == {source["uid"]}
        assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_prometheus_itself_takes_the_rules() -> None:
    check = [str(needed("promtool", "prometheus")), "check", "config", str(PROMETHEUS / "prometheus.yml")]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


WAKE: dict[str, dict[str, str]] = {
    "ChorusDown": {'up{job="feed", instance="a"}': "0x200"},
    "ChorusDaysOverdue": {"chorus_log_days_overdue": "0x20 1x200"},
    "ChorusDatabaseGrows": {"chorus_database_bytes": "6000000000x1440 8100000000x60"},
    "ChorusRedisFull": {"chorus_redis_used_bytes": "330x200", "chorus_redis_max_bytes": "400x200"},
    "ChorusDiskLow": {
        'chorus_disk_free_bytes{folder="/data"}': "9x200",
        'chorus_disk_size_bytes{folder="/data"}': "99x200",
    },
}
"""What makes each of these fire, a value a minute; the three kinds of processes are there otherwise."""
LET_SLEEP: dict[str, dict[str, str]] = {
    "ChorusDaysOverdue": {"chorus_log_days_overdue": "0x100 1x60"},
    "ChorusDatabaseGrows": {"chorus_database_bytes": "6000000000x1440 7000000000x60"},
    "ChorusRedisFull": {"chorus_redis_used_bytes": "330x200", "chorus_redis_max_bytes": "0x200"},
}


def test_alerts_of_what_fills_up_wake_somebody_when_it_does_and_nobody_before(tmp_path: Path) -> None:
    promtool = str(needed("promtool", "prometheus"))
    summaries = {rule["alert"]: rule for rule in rules()}
    wrong = []
    for fires, cases in ((True, WAKE), (False, LET_SLEEP)):
        for alert, series in cases.items():
            alive = {f'up{{job="{job}", instance="b"}}': "1x1500" for job in ("feed", "notify", "sequencer")}
            found = _fires(promtool, tmp_path, alert, {**alive, **series}, "1490m" if "Grows" in alert else "150m")
            assert alert in summaries
            wrong += [] if found == fires else [(alert, fires)]
    nobody = {f'up{{job="{job}", instance="b"}}': "1x200" for job in ("feed", "sequencer")}
    assert _fires(promtool, tmp_path, "ChorusDown", nobody, "150m"), "all of a kind are gone, and with them their `up`"
    assert not wrong


def _fires(promtool: str, folder: Path, alert: str, series: dict[str, str], at: str) -> bool:
    """Whether Prometheus's own reading of the rules has this alert at that time, given these series."""
    file = folder / "alerts_test.yml"
    given = [{"series": name, "values": values} for name, values in series.items()]
    quiet = {"alertname": alert, "eval_time": at, "exp_alerts": []}
    test = {"interval": "1m", "input_series": given, "alert_rule_test": [quiet]}
    rules_file = str(PROMETHEUS / "alerts.yml")
    file.write_bytes(msgspec.yaml.encode({"rule_files": [rules_file], "evaluation_interval": "1m", "tests": [test]}))
    done = subprocess.run([promtool, "test", "rules", str(file)], capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0 or "got:" in said.lower(), said
    return done.returncode != 0
