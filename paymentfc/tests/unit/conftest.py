"""Clients of Xendit whose server is a function of the test."""

from collections.abc import AsyncIterator

import pytest

from .gateway import Client, clients


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with clients() as client:
        yield client
