"""How a command ends: exit codes, and errors in words. Commands raise; nobody else calls sys.exit."""

from collections.abc import Callable

from shared.errors import ChorusError
from shared.settings import SettingsError

DONE, FAILED, USAGE, INVALID, UNAVAILABLE, INTERRUPTED = 0, 1, 2, 3, 4, 130
_UVICORN_DID_NOT_START = 3


def exit_code(error: Exception) -> int | None:
    """The code for an error that a person can act on; None for a bug, which deserves its traceback."""
    # Imported only now: a command that ends well needs neither driver, and `chorus up` stays.
    import asyncpg
    import redis

    from services.backup.errors import Refused, ToolFailed
    from services.embedded import EngineUnavailable
    from services.installation import InUse, Unusable
    from services.reaching import Unreachable
    from services.supervisor import Failed
    from shared.listening import PortTaken

    if isinstance(error, SettingsError):
        return USAGE
    if isinstance(error, ChorusError):
        return UNAVAILABLE if error.status == 503 else FAILED if error.status >= 500 else INVALID
    if isinstance(error, Failed):
        return error.code if error.code in (USAGE, INVALID, UNAVAILABLE) else FAILED
    if isinstance(error, Refused):
        return INVALID
    if isinstance(error, ToolFailed):
        return FAILED
    unavailable = (
        EngineUnavailable,
        InUse,
        PortTaken,
        Unreachable,
        Unusable,
        redis.ConnectionError,
        redis.TimeoutError,
        asyncpg.PostgresConnectionError,
        asyncpg.CannotConnectNowError,
        asyncpg.InvalidCatalogNameError,
        asyncpg.InvalidAuthorizationSpecificationError,
        OSError,  # a name that nobody knows, a folder that isn't there, a disk that is full: never a bug of ours
    )
    return UNAVAILABLE if isinstance(error, unavailable) else None


def explain(error: Exception) -> str:
    """The error in words, with every fault that it names."""
    if isinstance(error, ChorusError):
        faults = [f"  {fault.field or 'input'}: {fault.detail}" for fault in error.errors]
        return "\n".join([error.detail, *faults, error.remedy])
    if isinstance(error, SettingsError):
        return "\n".join(["these settings don't work:", *(f"  {fault}" for fault in error.faults)])
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}."
    return str(error) or type(error).__name__


def serve(run: Callable[[], int | None]) -> int:
    """The exit code of a service. uvicorn leaves a failed start with 3, which would say here that the input is invalid,
    and keep a supervisor from trying again."""
    try:
        return run() or DONE
    except SystemExit as ended:
        return UNAVAILABLE if ended.code == _UVICORN_DID_NOT_START else int(ended.code or DONE)
