"""The `chorus` command: finds its commands, and turns what goes wrong into a sentence and an exit code.

A command is a module in services/commands with a `command` in it; a trailing underscore keeps it clear of Python's
words. Each imports what it needs when it runs, so that `chorus up`, which stays, stays small.
"""

import importlib
import pkgutil
import sys
from collections.abc import Sequence

import click

from services import commands
from services.outcome import INTERRUPTED, exit_code, explain


class Commands(click.Group):
    """A group whose commands are the modules of a package."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(module.name.rstrip("_") for module in pkgutil.iter_modules(commands.__path__))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        for module in pkgutil.iter_modules(commands.__path__):
            if module.name.rstrip("_") == cmd_name:
                found = importlib.import_module(f"{commands.__name__}.{module.name}").command
                assert isinstance(found, click.Command)  # noqa: S101 - ours
                return found
        return None


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="chorus")
def chorus() -> None:
    """A live community feed that can prove it missed nothing.

    Settings are environment variables that start with CHORUS_; commands run beside `chorus up` find it by its data
    folder. Exit codes: 0 done, 1 failed, 2 usage, 3 invalid input, 4 not available, 130 interrupted.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and end the process with its exit code. Ours are explained; bugs keep their traceback."""
    try:
        code = chorus.main(arguments, standalone_mode=False)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except click.exceptions.Abort:
        code = INTERRUPTED
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except Exception as error:
        code = exit_code(error)
        if code is None:
            raise
        click.echo(f"chorus: {explain(error)}", err=True)
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
