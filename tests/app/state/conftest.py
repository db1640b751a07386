"""What tests of the state share."""

import pytest
from helpers.tables import Table


@pytest.fixture
def table(tmp_path):
    """A triage of the tiny survey with a database; what is left to do is done at the end."""
    table = Table(tmp_path)
    yield table
    table.drain()
    table.store.close()
