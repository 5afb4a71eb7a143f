"""`chorus bench`: the figures of this machine beside its limits."""

import click


@click.command()
@click.option("--rows", default="", help="Names of rows, comma separated; all when left out. `--rows list` names them.")
@click.option(
    "--runs", default=3, show_default=True, type=click.IntRange(1, 50), help="Runs of each row; medians count."
)
@click.option("--quick", is_flag=True, help="Small and short: shows that everything works, compares with nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def command(rows: str, runs: int, quick: bool, as_json: bool) -> None:
    """Measure Chorus on servers of its own, on free ports; nothing that runs is touched.

    Takes some 12 minutes with everything. Progress goes to standard error. Slow figures are no failure.
    """
    import signal

    from services.bench import run
    from services.bench.figures import as_json as written
    from services.bench.figures import print_table
    from services.bench.rows import ROWS

    names = [name.strip() for name in rows.split(",") if name.strip()]
    if names == ["list"]:
        click.echo("\n".join(ROWS))
        return
    if unknown := run.unknown_rows(names):
        raise click.BadParameter(f"no such row: {', '.join(unknown)}; there are {', '.join(ROWS)}", param_hint="--rows")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ended politely, it leaves no folder behind
    figures, heading, looks = run.measure(names, runs=runs, quick=quick, say=lambda line: click.echo(line, err=True))
    if as_json:
        click.echo(written(figures, heading, looks))
    else:
        print_table(figures, heading)
