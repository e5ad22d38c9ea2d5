"""Where the photographs of the front end go."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def album(tmp_path_factory):
    """The folder that LDU_ALBUM names, or one that is thrown away."""
    chosen = os.environ.get("LDU_ALBUM")
    if not chosen:
        return tmp_path_factory.mktemp("album")
    folder = Path(chosen).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return folder
