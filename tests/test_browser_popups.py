"""Every state of the shipped popups in a real browser: narrow, dark, with the keyboard, and without anything else."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from templates_store.popup_context import SAMPLES, build_sample
from templates_store.popup_texts import get_texts
from templates_store.popups import render_popup
from templates_store.shipped_popups import read_shipped

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Dialog, Page

pytestmark = pytest.mark.browser

# How many links each sample has for the keyboard.
LINKS = {
    "incoming": 0,
    "match": 2,
    "match, long names": 2,
    "match, from right to left": 2,
    "match, company": 3,
    "match, uncertain": 3,
    "match, parts missing": 1,
    "choice": 6,
    "choice, 50 contacts": 101,
    "nomatch": 1,
    "nomatch, parts missing": 0,
    "withheld": 1,
    "missed": 3,
    "missed, several": 5,
    "missed, unknown": 2,
    "missed, withheld": 1,
}

# For every text: how it stands out against the colour behind it, by WCAG 2.
CONTRASTS = """() => {
    const parse = (color) => color.match(/[0-9.]+/g).map(Number);
    const luminance = (rgb) => {
        const [r, g, b] = rgb.map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const backgrounds = (element) => {
        for (let each = element; each; each = each.parentElement) {
            const style = getComputedStyle(each);
            const colors = style.backgroundImage.match(/rgb\\([^)]*\\)/g);
            if (colors) return colors.map(parse);
            const color = parse(style.backgroundColor);
            if (color.length === 3 || color[3] > 0) return [color.slice(0, 3)];
        }
        return [[255, 255, 255]];
    };
    const found = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
        if (!node.data.trim()) continue;
        const text = luminance(parse(getComputedStyle(node.parentElement).color).slice(0, 3));
        for (const background of backgrounds(node.parentElement)) {
            const [light, dark] = [text, luminance(background)].sort((a, b) => b - a);
            found.push([(light + 0.05) / (dark + 0.05), node.data.trim().slice(0, 30)]);
        }
    }
    return found.sort((a, b) => a[0] - b[0])[0];
}"""


def open_popup(page: "Page", sample: str, language: str) -> None:
    name, context = build_sample(sample, language=language, texts=get_texts(language))
    page.set_content(render_popup(read_shipped(language), name, context))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 480])
@pytest.mark.parametrize("language", ["de", "en"])
def test_every_state_is_readable_and_needs_nothing_else(
    chromium: "Browser", tmp_path: Path, language: str, width: int, scheme: Any
) -> None:
    context = chromium.new_context(
        viewport={"width": width, "height": 400}, color_scheme=scheme, reduced_motion="reduce", java_script_enabled=True
    )
    page = context.new_page()
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    for sample in SAMPLES:
        open_popup(page, sample, language)
        page.screenshot(path=tmp_path / f"{sample}.png", full_page=True)

        assert page.evaluate("document.documentElement.scrollWidth") <= width, sample
        assert page.locator("script, [onclick], [onload], iframe, link, form").count() == 0
        assert page.locator("html").get_attribute("lang") == language
        assert (page.locator("header").count(), page.locator("main").count(), page.locator("h1").count()) == (1, 1, 1)
        contrast, text = page.evaluate(CONTRASTS)
        assert contrast >= 4.5, (sample, text)
    assert requests == []
    context.close()


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_keyboard_reaches_every_action_in_order_and_shows_where_it_is(chromium: "Browser", sample: str) -> None:
    page = chromium.new_page(viewport={"width": 320, "height": 400})
    open_popup(page, sample, "de")
    links = page.locator("a[href]")
    assert links.count() == LINKS[sample]

    for position in range(min(links.count(), 8)):
        page.keyboard.press("Tab")
        link = links.nth(position)
        assert link.evaluate("each => each === document.activeElement")
        outline = """each => [null, '::after'].map((part) => getComputedStyle(each, part))
            .some((style) => style.outlineStyle === 'solid' && parseFloat(style.outlineWidth) >= 3)"""
        assert link.evaluate(outline)
        assert link.get_attribute("href") not in {"", "#", None}
    page.close()


def test_a_whole_entry_of_the_choice_leads_to_its_contact(chromium: "Browser") -> None:
    page = chromium.new_page(viewport={"width": 320, "height": 800})
    open_popup(page, "choice", "en")
    for entry in page.locator(".contacts > li").all():
        box = entry.bounding_box()
        assert box is not None
        at = "([x, y]) => document.elementFromPoint(x, y).closest('a').className"
        assert page.evaluate(at, [box["x"] + 5, box["y"] + 5]) == "name"
    case = page.locator(".case").first.bounding_box()
    assert case is not None
    assert page.evaluate(at, [case["x"] + case["width"] / 2, case["y"] + case["height"] / 2]) == "case"
    page.close()


def test_a_hostile_name_is_a_text_in_the_browser(chromium: "Browser") -> None:
    page = chromium.new_page()
    dialogs: list[str] = []

    def note(dialog: "Dialog") -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", note)
    name, context = build_sample("choice", language="en", texts=get_texts("en"))
    hostile = '</title></style><script>alert(1)</script><img src=x onerror=alert(2)>" onfocus="alert(3)'
    contact = {"name": hostile, "url": "javascript:alert(4)", "create_case_url": " javascript:alert(5)", "id": "1"}
    page.set_content(render_popup(read_shipped("en"), name, context | {"contacts": [contact]}))
    for link in page.locator("a.name, a.case").all():
        link.click()

    assert page.locator("a.name").inner_text() == hostile
    assert page.locator("script, img").count() == 0
    assert dialogs == []
    page.close()
