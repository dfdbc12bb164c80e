"""Storages of searches that do not wait for the disk."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy


@pytest.fixture
def quick_sqlite() -> Iterator[None]:
    """SQLite leaves writing to the system: what a test makes need not outlive a power cut, and the disk may be busy."""

    def leave_it(connection: Any, record: Any) -> None:
        connection.execute("PRAGMA synchronous = OFF")

    sqlalchemy.event.listen(sqlalchemy.Engine, "connect", leave_it)
    yield
    sqlalchemy.event.remove(sqlalchemy.Engine, "connect", leave_it)
