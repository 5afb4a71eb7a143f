"""The way to Redis, of the publishing or the reading side alone: nothing comes through, or late, or it is cut."""

from services.torture.faults.redis import REDIS
from services.torture.scene import Fault, until


class OneSide(Fault):
    """What is wrong with one side's `proxy`; bytes pass again when it is over."""

    family, touches = "redis", REDIS
    hold = (0.5, 3.0)

    async def inject(self) -> None:
        """See Fault."""
        stage = self.scene.stage
        self.proxy = self.rng.choice((stage.publishing, stage.reading))

    async def heal(self) -> None:
        """See Fault."""
        self.proxy.heal()


class Partitioned(OneSide):
    """One side loses Redis, in one direction or both: nothing comes through, and nobody is told."""

    name = "redis-partitioned"

    async def inject(self) -> None:
        """See Fault."""
        await super().inject()
        ways = self.rng.choice(((self.proxy.there,), (self.proxy.back,), (self.proxy.there, self.proxy.back)))
        before = [way.held for way in ways]
        for way in ways:
            way.open.clear()

        async def felt() -> bool:
            return [way.held for way in ways] != before

        await until(felt, f"something is held back at {self.proxy.name}")
        names = " and ".join("back" if way is self.proxy.back else "there" for way in ways)
        self.evidence = f"{self.proxy.name}: nothing came through {names}; the proxy counts the pieces that it held"


class Shaky(OneSide):
    """One side's way to Redis is slow, or all its connections are cut."""

    name = "redis-shaky"

    async def inject(self) -> None:
        """See Fault."""
        await super().inject()
        if self.rng.random() < 0.5:

            async def cut() -> bool:
                self.evidence = f"{self.proxy.name}: {number} connections cut" if (number := self.proxy.cut()) else ""
                return bool(number)

            await until(cut, f"there are connections to cut at {self.proxy.name}")
            return
        ways = (self.proxy.there, self.proxy.back)
        before = sum(way.delayed for way in ways)
        for way in ways:
            way.delay = 0.4

        async def felt() -> bool:
            self.evidence = f"{self.proxy.name}: {sum(way.delayed for way in ways) - before} pieces came 0.4 s late"
            return sum(way.delayed for way in ways) > before

        await until(felt, f"something comes late at {self.proxy.name}")


ALL: list[type[Fault]] = [Partitioned, Shaky]
