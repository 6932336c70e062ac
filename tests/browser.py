"""Finds the Chromium which drives the browser tests; `python -m tests.browser` prints it, or fails."""

import os
import shutil
import sys


def find_chromium() -> str | None:
    """Return the path of CMPHONE_CHROMIUM, or of a Chromium or Chrome on PATH."""
    names = [os.environ.get("CMPHONE_CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome"]
    return next((path for name in names if name and (path := shutil.which(name))), None)


if __name__ == "__main__":
    print(find_chromium() or sys.exit("There is no Chromium here."))
