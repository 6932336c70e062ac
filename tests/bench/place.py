"""Where a loaded site is kept between runs: an embedded PostgreSQL of its own for each size and seed.  No Django."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from cmphone.embedded import var_folder
from tests.bench import data


@dataclass(frozen=True)
class BenchPlace:
    """A folder below the benchmark's own; `loaded.json` in it tells what was loaded, and how fast."""

    top: Path
    numbers: int
    seed: int

    @property
    def var(self) -> Path:
        return self.top / f"{self.numbers}-{self.seed}-v{data.VERSION}"

    @property
    def site(self) -> data.Site:
        return data.Site(self.numbers, self.seed)

    def read_figures(self) -> dict[str, Any] | None:
        """Return the figures of the loading, or None where it has not come to its end."""
        path = self.var / "loaded.json"
        return orjson.loads(path.read_bytes()) if path.exists() else None

    def write_figures(self, figures: Mapping[str, object]) -> None:
        """Say that the site is loaded."""
        (self.var / "loaded.json").write_bytes(orjson.dumps(figures, option=orjson.OPT_INDENT_2))


def find_top() -> Path:
    """Return the benchmark's folder.  Call it before `settle`."""
    return var_folder() / "bench"


def settle(place: BenchPlace) -> None:
    """Let this process and its children use the services of `place`, and the product's settings as they are shipped."""
    # A database named here would be a real site's.
    for name in [name for name in os.environ if name.startswith("CMPHONE_")]:
        del os.environ[name]
    os.environ["CMPHONE_VAR"] = str(place.var)
    os.environ["DJANGO_SETTINGS_MODULE"] = "cmphone.settings"
