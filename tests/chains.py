"""Schemathesis, stateful: what one call answers is what the next one asks with, by links and names of the document."""

import contextlib
from collections import Counter
from collections.abc import Callable
from typing import Any

import hypothesis
import schemathesis
from hypothesis import HealthCheck
from hypothesis.errors import FlakyStrategyDefinition
from hypothesis.stateful import run_state_machine_as_test

BATCH = 25
"""Chains of one seed."""


def chained(
    url: str, document: dict[str, Any], headers: Callable[[Any], dict[str, str]], *, chains: int
) -> Counter[tuple[str, int]]:
    """How often each operation id had each status in at most so many chains of calls; `headers` says who makes one.

    Raises AssertionError when an answer is a 500, or not as the document says.
    """
    made: Counter[tuple[str, int]] = Counter()
    wrong: list[str] = []

    class Flow(schemathesis.openapi.from_dict(document).as_state_machine()):  # type: ignore[misc]
        def get_call_kwargs(self, case: Any) -> dict[str, Any]:
            return {"headers": headers(case.operation), "base_url": url}

        def validate_response(self, response: Any, case: Any, **_: Any) -> None:
            made[case.operation.definition.raw["operationId"], response.status_code] += 1
            try:
                assert response.status_code < 500, response.text
                case.operation.validate_response(response)
            except BaseException as error:  # groups of failures are none of Exception's
                wrong.append(f"{case.method} {case.formatted_path}: {response.status_code} {error}")
                raise

    for number in range(chains // BATCH):
        # A beginning that is sent again meets what it made before (a handle is taken now), and Hypothesis then takes
        # what it draws for unsteady. Such a batch ends there: what went wrong is kept apart, and the next one goes on.
        with contextlib.suppress(FlakyStrategyDefinition):
            run_state_machine_as_test(
                hypothesis.seed(number)(Flow),
                settings=hypothesis.settings(
                    max_examples=BATCH, stateful_step_count=12, deadline=None, database=None,
                    phases=[hypothesis.Phase.generate], suppress_health_check=list(HealthCheck),
                ),
            )  # fmt: skip
        assert not wrong, wrong
    return made
