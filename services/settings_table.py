"""The settings table of the README, made from the code: `python -m services.settings_table` rewrites it in place."""

from pathlib import Path

from services.feed.settings import FeedSettings
from services.notify.settings import NotifySettings
from shared.settings import table

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- settings: begin -->\n", "<!-- settings: end -->"


def markdown() -> str:
    """Every setting once, in order of declaration: the common ones, the feed's, notify's."""
    rows = dict.fromkeys([*table(FeedSettings), *table(NotifySettings)])
    lines = ["| setting | default | what it does |", "|---|---|---|"]
    lines += [f"| `{name}` | {f'`{default}`' if default else 'unset'} | {text} |" for name, default, text in rows]
    return "\n".join(lines) + "\n"


def main() -> None:
    """The README's table is the code's own."""
    text = README.read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    README.write_text(f"{head}{BEGIN}{markdown()}{END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
