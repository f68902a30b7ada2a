"""The page in a real browser, headless Chromium: it loads nothing, and is read in light and dark, narrow, printed, and by keyboard."""

import io
import json
import shutil
from collections import Counter

import pytest
import small_page
from PIL import Image

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--window-size=1100,900",
)  # fmt: skip

#: Every text that is seen, with the contrast of its colour and what lies behind it, the lowest first.
CONTRASTS = """
const channel = c => (c /= 255) <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4;
const light = rgb => .2126 * channel(rgb[0]) + .7152 * channel(rgb[1]) + .0722 * channel(rgb[2]);
const numbers = text => text.match(/[\\d.]+/g).map(Number);
const behind = element => {
  for (let at = element; at; at = at.parentElement) {
    const found = numbers(getComputedStyle(at).backgroundColor);
    if (found.length < 4 || found[3] > 0) return found;
  }
};
const found = [];
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (texts.nextNode()) {
  const element = texts.currentNode.parentElement;
  if (!texts.currentNode.data.trim() || ["title", "desc"].includes(element.tagName) || element.closest(".unseen")) continue;
  const style = getComputedStyle(element);
  const one = light(numbers(element instanceof SVGElement ? style.fill : style.color)), other = light(behind(element));
  found.push([(Math.max(one, other) + .05) / (Math.min(one, other) + .05), element.tagName, texts.currentNode.data.trim().slice(0, 30)]);
}
return found.sort((a, b) => a[0] - b[0]);
"""
#: What a keyboard should reach, in order, and what has the focus.
REACHABLE = """
return [...document.querySelectorAll('a[href], summary, [tabindex="0"]')].filter(e => e.checkVisibility({contentVisibilityAuto: true}))
  .map((e, n) => (e.dataset.n = n, n));
"""
FOCUSED = (
    "const e = document.activeElement; return [e.dataset.n ?? null, getComputedStyle(e).outlineStyle, parseFloat(getComputedStyle(e).outlineWidth)];"
)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A page with every section and a warning, as a file."""
    folder = tmp_path_factory.mktemp("browser")
    small_page.several(folder / "runs")
    small_page.write(
        folder / "runs", split="ftmt-0", model="a-model-with-a-rather-long-name", store="b.duckdb", feature_sets={"visual": {"weights": "random"}}
    )
    file = folder / "report.html"
    file.write_text(small_page.page(folder / "runs"), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """One Chromium for all tests, with a profile of its own."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("a real browser: install chromium and chromium-driver, e.g. `apt-get install chromium chromium-driver`")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    opened = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=driver))
    yield opened
    opened.quit()


@pytest.fixture
def shown(browser, page):
    """The page, freshly loaded in light and at the width of a desk."""
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": [{"name": "prefers-color-scheme", "value": "light"}]})
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    return loaded(browser, page)


def loaded(browser, file):
    """The browser with a file, what came before it forgotten, e.g. the browser's own first page."""
    browser.get("about:blank")
    for log in ("browser", "performance"):
        browser.get_log(log)
    browser.get(file.as_uri())
    return browser


def dark(browser):
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]})


def asked_for(browser):
    """Addresses of all requests since the last look."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]


def test_the_page_loads_without_a_complaint_and_asks_for_nothing_but_itself(shown, page):
    asked = asked_for(shown)
    assert page.as_uri() in asked
    assert [address for address in asked if address != page.as_uri() and not address.startswith("data:")] == []
    assert shown.get_log("browser") == []
    assert shown.title == "9 runs on a, b"


def test_a_page_that_would_load_or_run_something_is_stopped_by_its_own_policy(browser, page):
    planted = page.with_name("planted.html")
    planted.write_text(page.read_text().replace("</h1>", "</h1><img src='http://127.0.0.1:9/x.png'><script>document.title = 'ran'</script>"))
    loaded(browser, planted)
    complaints = [entry["message"] for entry in browser.get_log("browser")]
    assert sum("Content Security Policy" in complaint for complaint in complaints) == 2
    assert browser.title != "ran"
    assert not [address for address in asked_for(browser) if address.startswith("http:")] or all(
        "blocked" in c or "violates" in c for c in complaints
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(shown, scheme):
    if scheme == "dark":
        dark(shown)
    shown.execute_script("document.querySelectorAll('details').forEach(each => each.open = true)")
    found = shown.execute_script(CONTRASTS)
    assert len(found) > 500
    assert [each for each in found if each[0] < 4.5] == []


def test_light_and_dark_are_what_the_system_asks_for_and_neither_is_blank(shown):
    for scheme, bright in (("light", True), ("dark", False)):
        if scheme == "dark":
            dark(shown)
        picture = Image.open(io.BytesIO(shown.get_screenshot_as_png())).convert("RGB")
        counted = Counter(picture.getdata() if not hasattr(picture, "get_flattened_data") else picture.get_flattened_data())
        paper, n = counted.most_common(1)[0]
        assert (min(paper) > 220) if bright else (max(paper) < 50)
        assert n < 0.98 * picture.width * picture.height
        assert len(counted) > 50


@pytest.mark.parametrize("opened", [False, True], ids=["folded", "opened"])
def test_a_narrow_screen_does_not_scroll_sideways(shown, opened):
    shown.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": 320, "height": 640, "deviceScaleFactor": 1, "mobile": True})
    if opened:
        shown.execute_script("document.querySelectorAll('details').forEach(each => each.open = true)")
    width, inside = shown.execute_script("return [innerWidth, document.documentElement.scrollWidth]")
    assert (width, inside) == (320, 320)
    smallest = shown.execute_script(
        "return Math.min(...[...document.querySelectorAll('figure svg[role=img] text')].map(e => e.getBoundingClientRect().height))"
    )
    assert smallest > 8


def press(browser, key, code):
    for kind in ("keyDown", "keyUp"):
        text = {"text": "\r"} if key == "Enter" and kind == "keyDown" else {}
        browser.execute_cdp_cmd("Input.dispatchKeyEvent", {"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, **text})


def test_everything_is_reached_by_keyboard_in_order_and_seen_to_be(shown):
    expected = shown.execute_script(REACHABLE)
    assert len(expected) > 30
    reached = []
    for _ in expected:
        press(shown, "Tab", 9)
        at, outline, width = shown.execute_script(FOCUSED)
        reached.append(int(at))
        assert (outline, width >= 2) == ("solid", True)
    assert reached == expected


def test_numbers_open_by_keyboard_and_the_first_step_leads_past_the_contents(shown):
    press(shown, "Tab", 9)
    assert shown.execute_script("const e = document.activeElement; return [e.hash, e.getBoundingClientRect().left >= 0]") == ["#content", True]
    press(shown, "Enter", 13)
    assert shown.execute_script("return document.activeElement.id") == "content"
    shown.execute_script("document.querySelector('figure summary').focus()")
    press(shown, "Enter", 13)
    opened = "const d = document.querySelector('figure details'); return [d.open, d.querySelector('td').checkVisibility()]"
    assert shown.execute_script(opened) == [True, True]


def test_printed_it_is_ink_on_paper_of_its_width_with_every_table_open_but_those_of_charts(shown):
    hidden = "return [...document.querySelectorAll('td')].filter(each => !each.checkVisibility() && !each.closest('figure')).length"
    assert shown.execute_script(hidden) > 50
    shown.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": 718, "height": 1000, "deviceScaleFactor": 1, "mobile": True})
    shown.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": [{"name": "prefers-color-scheme", "value": "dark"}]})
    assert shown.execute_script(hidden) == 0
    assert shown.execute_script("return document.documentElement.scrollWidth") == 718
    style = "const s = getComputedStyle(document.body); return [s.backgroundColor, s.color]"
    assert shown.execute_script(style) == ["rgb(255, 255, 255)", "rgb(28, 32, 36)"]


def test_the_browser_reads_charts_as_pictures_with_names(shown):
    tree = shown.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    names = [node["name"]["value"] for node in tree if node.get("role", {}).get("value") == "image" and not node["ignored"]]
    assert len(names) == shown.execute_script("return document.querySelectorAll('figure').length") > 8
    assert all("seed" in name or "recall" in name or "ndcg" in name or "Seconds" in name for name in names)
    assert any(name.startswith("Test recall@20 ") for name in names)
