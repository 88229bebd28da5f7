"""What all tests share."""

import pytest
from certificates import Certificates, made


@pytest.fixture(scope="session")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Certificates, made once."""
    return made(tmp_path_factory.mktemp("certificates"))
