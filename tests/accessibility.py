"""Holds pages against the rules of axe-core, as screen readers, the keyboard and weak eyes need them."""

from typing import TYPE_CHECKING, Any, Literal

from axe_playwright_python.base import AXE_SCRIPT

if TYPE_CHECKING:
    from playwright.sync_api import Page

# How wide a telephone is; nobody should have to scroll sideways on it.
NARROWEST = 320


def find_violations(page: "Page") -> list[str]:
    """Return what is wrong with a page, light and dark: the rule, where, and why.  Empty if nothing."""
    found: list[str] = []
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for scheme in schemes:
        page.emulate_media(color_scheme=scheme)
        # The administration's links take a moment to have the other colour.  (What rings does so without an end.)
        page.evaluate(
            "Promise.allSettled(document.getAnimations().filter(each => each instanceof CSSTransition)"
            ".map(each => each.finished)).then(() => null)"
        )
        page.evaluate(AXE_SCRIPT)
        result: dict[str, Any] = page.evaluate("axe.run({resultTypes: ['violations']})")
        found += [
            f"{scheme}: {violation['id']} at {' '.join(map(str, node['target']))}: {node['failureSummary']}"
            for violation in result["violations"]
            for node in violation["nodes"]
        ]
    page.emulate_media(color_scheme="light")
    return found


def find_overflow(page: "Page", width: int = NARROWEST) -> int:
    """Return by how many pixels a page is wider than a window of this width."""
    size = page.viewport_size
    page.set_viewport_size({"width": width, "height": 800})
    wider = int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))
    if size is not None:
        page.set_viewport_size(size)
    return wider
