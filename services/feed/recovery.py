"""A way back in for who forgot their password: a letter to their confirmed address, whose link sets a new one.

Asking writes one row and looks nothing up, so that its answer, and the time it takes, are the same whether somebody has
the address or not. Whose it is shows when the letter is sent (`feed_v1.letter`), and to its reader alone.
"""

from services.feed import letters
from services.feed.accounts import Accounts
from services.feed.queries import QUERIES
from services.feed.rows import now
from shared.links import LinkEnded, read_link
from shared.postgres import Pool, acquire, retrying


class Recovery:
    """Writes letters to who can't sign in, and takes the passwords that their links set."""

    def __init__(self, pool: Pool, accounts: Accounts, secret: str) -> None:
        self._pool = pool
        self._accounts = accounts
        self._secret = secret

    async def ask(self, address: str) -> None:
        """Whoever has confirmed this address gets a letter; nobody else hears of it."""

        async def attempt() -> None:
            async with acquire(self._pool) as connection:
                await letters.write(connection, "recover", None, letters.fold(address), at=now())

        await retrying(attempt)

    async def reset(self, token: str, password: str) -> None:
        """The password of the link's member is this one, and all their sessions have ended.

        Raises LinkEnded, and Invalid for a password that is guessed first: the link is good for another try then.
        """
        link = read_link(self._secret, "recover", token)
        row = await self._accounts.by_id(link.account_id)
        if row is None or row["address"] is None or await self._stamp(row["id"], row["password_version"]) != link.stamp:
            raise LinkEnded
        if not await self._accounts.set_password(row, password, but=None, at=now()):
            raise LinkEnded

    async def _stamp(self, account_id: int, password_version: int) -> str:
        """As feed_v1.letter makes it: of the password and of the address."""

        async def attempt() -> str:
            async with acquire(self._pool) as connection:
                email = await QUERIES.email_of(connection, account_id=account_id)
                return f"{password_version}.{email['version']}"

        return await retrying(attempt)
