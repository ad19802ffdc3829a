"""What a plot has to be."""

import io

from PIL import Image

MOST_BYTES = 60 * 1024
"""Greatest plot in a bundle that ships."""


def assert_picture(data: bytes) -> None:
    """A PNG of a readable size that is neither blank nor large."""
    picture = Image.open(io.BytesIO(data))
    picture.load()
    assert picture.format == "PNG"
    assert min(picture.size) >= 200
    assert len(picture.convert("RGB").getcolors(1 << 20) or []) > 10
    assert len(data) <= MOST_BYTES
