"""What all real guests need: image `tiny`, built first where the store lacks it or has an older one."""

import pytest

from guesthouse import UserError, image


@pytest.fixture(autouse=True, scope="session")
def tiny_is_there() -> None:
    """Skip all where the image is not there and the host can't reach a mirror."""
    try:
        image("tiny")
    except UserError as error:
        pytest.skip(f"no image: {error}")
