"""How much room is left where a folder lies, for a metric and `chorus doctor`: both speak long before it is full."""

import shutil
from pathlib import Path
from typing import NamedTuple

from prometheus_client import Gauge

FREE = Gauge("chorus_disk_free_bytes", "Bytes left for us on the disk of a folder.", ["folder"])
SIZE = Gauge("chorus_disk_size_bytes", "Bytes of the disk of a folder.", ["folder"])

GIB = 1 << 30
ALWAYS_LOW, LOW_SHARE, NEVER_LOW = 2 * GIB, 0.1, 20 * GIB
"""Low is less than a tenth, since small disks fill in hours; 20 GiB are days of a busy log, 2 GiB may be minutes."""


class Space(NamedTuple):
    """Bytes of a disk."""

    free: int
    size: int

    @property
    def low(self) -> bool:
        """Whether somebody should act now."""
        return self.free < ALWAYS_LOW or (self.free < LOW_SHARE * self.size and self.free < NEVER_LOW)

    def __str__(self) -> str:
        return f"{self.free / GIB:,.1f} of {self.size / GIB:,.1f} GiB free"


def space(folder: Path | str) -> Space:
    """The disk that the folder lies on, or would lie on. Raises OSError when that can't be asked."""
    here = Path(folder).absolute()
    while not here.exists() and here != here.parent:
        here = here.parent
    usage = shutil.disk_usage(here)
    return Space(usage.free, usage.total)


def watch(folder: Path | str) -> None:
    """From now on every scrape of the metrics looks at the disk of `folder`. Twice is safe."""
    name = str(Path(folder).absolute())
    FREE.labels(name).set_function(lambda: space(folder).free)
    SIZE.labels(name).set_function(lambda: space(folder).size)
