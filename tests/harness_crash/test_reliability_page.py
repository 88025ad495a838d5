"""docs/reliability.md names every step that the engine announces."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_durable_step_is_on_the_page() -> None:
    page = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "attractor").rglob("*.py")]
    steps = {name for text in sources for name in re.findall(r'observe\("(\w+)"\)', text)}
    assert len(steps) >= 10
    assert sorted(name for name in steps if f"`{name}`" not in page) == []
