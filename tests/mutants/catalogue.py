"""Every mutant there is: one for each sentence of DESIGN.md's promise, and for each rule of its sections 4, 6 and 7."""

from tests.mutants import (
    catalogue_client,
    catalogue_feed,
    catalogue_following,
    catalogue_hub,
    catalogue_inbox,
    catalogue_lanes,
    catalogue_locks,
    catalogue_numbering,
    catalogue_parts,
    catalogue_publishing,
    catalogue_rounds,
    catalogue_socket,
    catalogue_tail,
)
from tests.mutants.mutant import Mutant

MUTANTS: list[Mutant] = [
    *catalogue_numbering.MUTANTS,
    *catalogue_publishing.MUTANTS,
    *catalogue_tail.MUTANTS,
    *catalogue_following.MUTANTS,
    *catalogue_locks.MUTANTS,
    *catalogue_hub.MUTANTS,
    *catalogue_rounds.MUTANTS,
    *catalogue_parts.MUTANTS,
    *catalogue_lanes.MUTANTS,
    *catalogue_socket.MUTANTS,
    *catalogue_client.MUTANTS,
    *catalogue_inbox.MUTANTS,
    *catalogue_feed.MUTANTS,
]
