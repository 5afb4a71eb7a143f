"""Every fault, by family; each proves that it fired, or the run fails."""

from services.torture.faults import processes, redis
from services.torture.scene import Fault

ALL: dict[str, type[Fault]] = {fault.name: fault for module in (processes, redis) for fault in module.ALL}
