"""Fixtures: a fresh Palisade, and the sample server in front of it, for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import running


@pytest.fixture
def palisade(tmp_path: Path) -> Iterator[running.Palisade]:
    with running.palisade(tmp_path) as pdp:
        yield pdp


@pytest.fixture
def crm(tmp_path: Path, palisade: running.Palisade) -> Iterator[running.Crm]:
    with running.crm(tmp_path, palisade.grpc) as server:
        yield server
