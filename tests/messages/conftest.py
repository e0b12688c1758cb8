"""`python -m pytest tests/messages --update-messages` writes the texts of all examples into the snapshot."""

from __future__ import annotations

import pytest

from .collector import outcome, write_snapshot


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-messages", action="store_true", help="write what the examples say into the snapshot")


@pytest.fixture(scope="session", autouse=True)
def _update(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--update-messages", default=False):
        from .test_messages import EXAMPLES

        assert not hasattr(request.config, "workerinput"), "--update-messages needs one process: leave -n out"
        write_snapshot(
            {file: {name: outcome(call).text for name, call in table.items()} for file, table in EXAMPLES.items()}
        )
