"""Requests that schemathesis makes from the API's own description: those that it allows, and those that it forbids."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import httpx2 as httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import CHECKS
from schemathesis.schemas import APIOperation

from digitscan.core.types import RunInfo
from digitscan.web.app import create_app
from digitscan.web.settings import WebSettings
from tests.conftest import free_port, served
from tests.test_review import reviewed_job

EXAMPLES = int(os.environ.get("DIGITSCAN_API_EXAMPLES", "60"))
"""Requests for each operation; the environment asks for more."""
NAMES = "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance"
OPERATIONS = [
    found.ok() for found in schemathesis.openapi.from_dict(create_app(WebSettings()).openapi()).get_all_operations()
]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, run_info: RunInfo) -> Iterator[str]:
    job = reviewed_job(tmp_path_factory.mktemp("job"), run_info)
    with served(WebSettings(port=free_port(), max_bytes=1_000_000, job=job)) as address:
        yield address
        metrics = httpx.get(f"{address}/metrics").text
        counts = re.findall(r'digitscan_requests_total\{.*status="(\d+)"\} ([\d.]+)', metrics)
        assert sum(float(count) for _, count in counts) > 10 * EXAMPLES
        assert not [code for code, _ in counts if code >= "500"]


# Not schemathesis's own parametrization: its tests share one name, of which pytest-xdist runs one.
@pytest.mark.parametrize("operation", OPERATIONS, ids=[f"{o.method}-{o.path}" for o in OPERATIONS])
def test_every_request_gets_an_answer_that_is_described(operation: APIOperation, address: str) -> None:
    asked = operation.as_strategy()
    if operation.body or any(operation.iter_parameters()):
        asked |= operation.as_strategy(GenerationMode.NEGATIVE)

    @given(asked)
    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    def holds(case: Case) -> None:
        case.call_and_validate(base_url=address, timeout=60, checks=CHECKS.get_by_names(NAMES))

    holds()
