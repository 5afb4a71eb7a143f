"""Schemathesis, stateful: what one call answers is what the next one asks with, by links and names of the document."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import hypothesis
import schemathesis
from hypothesis import HealthCheck
from hypothesis.stateful import run_state_machine_as_test


def chained(
    url: str, document: dict[str, Any], headers: Callable[[Any], dict[str, str]], *, chains: int
) -> Counter[tuple[str, int]]:
    """How often each operation id had each status in so many chains of calls; `headers` says who makes an operation.

    Raises AssertionError when an answer is a 500, or not as the document says.
    """
    made: Counter[tuple[str, int]] = Counter()

    class Flow(schemathesis.openapi.from_dict(document).as_state_machine()):  # type: ignore[misc]
        def get_call_kwargs(self, case: Any) -> dict[str, Any]:
            return {"headers": headers(case.operation), "base_url": url}

        def validate_response(self, response: Any, case: Any, **_: Any) -> None:
            made[case.operation.definition.raw["operationId"], response.status_code] += 1
            assert response.status_code < 500, response.text
            case.operation.validate_response(response)

    run_state_machine_as_test(
        Flow,
        settings=hypothesis.settings(
            max_examples=chains, stateful_step_count=12, deadline=None, database=None, derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
    return made
