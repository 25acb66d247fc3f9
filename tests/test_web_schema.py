"""Requests that schemathesis makes from the API's own description: those that it allows, and those that it forbids."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import httpx2 as httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.checks import CHECKS

from digitscan.core.types import RunInfo
from digitscan.web.app import create_app
from digitscan.web.settings import WebSettings
from tests.conftest import free_port, served
from tests.test_review import reviewed_job

EXAMPLES = int(os.environ.get("DIGITSCAN_API_EXAMPLES", "20"))
"""Requests for each operation; the environment asks for more."""
NAMES = "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance"
schema = schemathesis.openapi.from_dict(create_app(WebSettings()).openapi())


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, run_info: RunInfo) -> Iterator[str]:
    job = reviewed_job(tmp_path_factory.mktemp("job"), run_info)
    with served(WebSettings(port=free_port(), max_bytes=1_000_000, job=job)) as address:
        yield address
        metrics = httpx.get(f"{address}/metrics").text
        counts = re.findall(r'digitscan_requests_total\{.*status="(\d+)"\} ([\d.]+)', metrics)
        assert sum(float(count) for _, count in counts) > 20 * EXAMPLES
        assert not [code for code, _ in counts if code >= "500"]


@schema.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_every_request_gets_an_answer_that_is_described(case: Case, address: str) -> None:
    case.call_and_validate(base_url=address, timeout=60, checks=CHECKS.get_by_names(NAMES))
