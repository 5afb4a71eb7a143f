"""How a command ends: exit codes, and errors in words. Commands raise; nobody else calls sys.exit."""

from shared.errors import ChorusError
from shared.settings import SettingsError

DONE, FAILED, USAGE, INVALID, UNAVAILABLE, INTERRUPTED = 0, 1, 2, 3, 4, 130


def exit_code(error: Exception) -> int | None:
    """The code for an error that a person can act on; None for a bug, which deserves its traceback."""
    # Imported only now: a command that ends well needs neither driver, and `chorus up` stays.
    import asyncpg
    import redis

    from services.embedded import EngineUnavailable
    from services.installation import InUse
    from services.supervisor import Failed
    from shared.listening import PortTaken

    if isinstance(error, SettingsError):
        return USAGE
    if isinstance(error, ChorusError):
        return UNAVAILABLE if error.status == 503 else FAILED if error.status >= 500 else INVALID
    if isinstance(error, Failed):
        return error.code if error.code in (USAGE, INVALID, UNAVAILABLE) else FAILED
    unavailable = (
        EngineUnavailable,
        InUse,
        PortTaken,
        redis.ConnectionError,
        asyncpg.PostgresConnectionError,
        asyncpg.CannotConnectNowError,
        asyncpg.InvalidCatalogNameError,
        asyncpg.InvalidAuthorizationSpecificationError,
        ConnectionError,
        PermissionError,
    )
    return UNAVAILABLE if isinstance(error, unavailable) else None


def explain(error: Exception) -> str:
    """The error in words, with every fault that it names."""
    if isinstance(error, ChorusError):
        faults = [f"  {fault.field or 'input'}: {fault.detail}" for fault in error.errors]
        return "\n".join([error.detail, *faults, error.remedy])
    if isinstance(error, SettingsError):
        return "\n".join(["these settings don't work:", *(f"  {fault}" for fault in error.faults)])
    return str(error) or type(error).__name__
