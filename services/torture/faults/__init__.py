"""Every fault, by family; each proves that it fired, or the run fails."""

from services.torture.faults import clock, days, history, log, postgres, processes, redis, sockets, ways, window
from services.torture.scene import Fault

ALL: dict[str, type[Fault]] = {
    fault.name: fault
    for module in (processes, redis, ways, postgres, history, days, sockets, window, log, clock)
    for fault in module.ALL
}
"""By name, as `--faults` takes them."""
