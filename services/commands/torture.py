"""`chorus torture`: kill, cut, flush and stall a Chorus of its own, and prove that nothing was lost."""

import click

from services.outcome import DONE, FAILED


@click.command()
@click.option(
    "--minutes", default=1.0, show_default=True, type=click.FloatRange(0.1, 10_000), help="How long, at least."
)
@click.option("--seed", default=None, help="Chooses everything; a random one when left out. It is printed.")
@click.option("--faults", default="", help="Names of faults, comma separated; all when left out. `list` names them.")
@click.option("--clients", default=200, show_default=True, type=click.IntRange(1, 5000), help="WebSocket clients.")
@click.option("--rate", default=30.0, show_default=True, type=click.FloatRange(1, 2000), help="Writes a second.")
@click.option(
    "--keep", is_flag=True, help="Leave the scratch folder where it is; its logs stay when something is wrong."
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def command(minutes: float, seed: str | None, faults: str, clients: int, rate: float, keep: bool, as_json: bool) -> int:
    """Torture servers of its own, on free ports; nothing that runs is touched.

    Every fault of the list happens at least once, however long that takes; exit 1 when something was lost, came twice,
    or did not fire. Progress goes to standard error.
    """
    import asyncio
    import secrets
    import signal

    from services.torture import faults as known
    from services.torture.report import as_json as written
    from services.torture.report import in_words
    from services.torture.run import Options, torture

    names = [name.strip() for name in faults.split(",") if name.strip()]
    if names == ["list"]:
        for name, fault in known.ALL.items():
            click.echo(f"{fault.family:<10} {name:<28} {(fault.__doc__ or '').splitlines()[0]}")
        return DONE
    if unknown := [name for name in names if name not in known.ALL]:
        raise click.BadParameter(f"no such fault: {', '.join(unknown)}; see `--faults list`", param_hint="--faults")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ended politely, it leaves nothing behind
    options = Options(
        seed=seed or secrets.token_hex(4),
        seconds=minutes * 60,
        faults=[known.ALL[name] for name in names or known.ALL],
        clients=clients,
        rate=rate,
        keep=keep,
    )
    report = asyncio.run(torture(options, lambda line: click.echo(line, err=True)))
    click.echo(written(report) if as_json else in_words(report))
    return FAILED if report.wrong else DONE
