"""A shop's colour on the pages: whatever it is, what is written in it and on it can be read."""

import re

import pytest

from admin_ui.brand import contrast
from tests.world import World


def read(color: str) -> tuple[int, int, int]:
    """Read #rrggbb."""
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("color", ["0f766e", "ffee00", "ffffff", "000000", "c2410c", "7f7f7f", "00ff00", "ff69b4"])
def test_every_colour_is_shaded_until_it_can_be_read(world: World, color: str) -> None:
    answer = world.client.get(f"/assets/brand-{color}.css")
    assert answer.status_code == 200 and answer.content_type == "text/css; charset=utf-8"
    light, dark = answer.get_data(as_text=True).split("@media")
    for text, grounds in ((light, ("#ffffff", "#f6f7f5")), (dark, ("#101413", "#181d1b"))):
        names = dict(re.findall(r"(--[a-z-]+):(#[0-9a-f]{6})", text))
        for ground in grounds:
            assert contrast(read(names["--accent"]), read(ground)) >= 4.5, (color, ground)
        assert contrast(read(names["--accent"]), read(names["--on-accent"])) >= 4.5
        assert contrast(read(names["--accent-strong"]), read(names["--accent-soft"])) >= 4.5


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_is_no_colour_is_not_there(world: World) -> None:
    for color in ("red", "12345", "gggggg", "1234567", "0F766E", "0f766e;}", "٠٠٠٠٠٠"):
        assert world.client.get(f"/assets/brand-{color}.css").status_code == 404
