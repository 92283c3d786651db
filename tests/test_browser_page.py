"""report.html in Chromium: nothing leaves the page, everything can be reached, read and printed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from llm_mia.report.html import write_report

from .conftest import sentences
from .pages import HOSTILE, audited_run

pytestmark = pytest.mark.browser
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
FOCUSABLE = "a[href], summary, input, button, [tabindex='0']"
OPEN_ALL = "() => document.querySelectorAll('details').forEach((each) => { each.open = true; })"
LAPTOP, PHONE = {"width": 1280, "height": 800}, {"width": 360, "height": 740}


def node_modules(package: str) -> Path:
    """The folder of a package of npm; the test is skipped where there is none."""
    folder = Path(os.environ.get("LLM_MIA_NODE_MODULES", "nowhere")) / package
    if not folder.is_dir():
        pytest.skip(f"LLM_MIA_NODE_MODULES names no folder with {package}")
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium is installed")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of an audit of hostile texts and plain ones."""
    texts = {**HOSTILE, **{f"plain-{number}": text for number, text in enumerate(sentences(40, seed=60))}}
    run = audited_run(tmp_path_factory.mktemp("browser") / "run", texts, sources=["</script><b>"] * len(texts))
    return write_report(run)


@contextmanager
def opened(browser: Any, report: Path, **options: Any) -> Iterator[Any]:
    """The page in a new context. When it is closed, nothing may have been requested, and the console must be empty."""
    context = browser.new_context(viewport=LAPTOP, **options)
    requests, messages = list[str](), list[str]()
    context.route("**/*", lambda route: route.continue_() if route.request.url == report.as_uri() else route.abort())
    page = context.new_page()
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.goto(report.as_uri())
    try:
        yield page
        assert requests == [report.as_uri()]
        assert messages == []
    finally:
        context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_requested_and_the_console_is_empty(browser: Any, report: Path, scheme: str) -> None:
    with opened(browser, report, color_scheme=scheme) as page:
        page.evaluate(OPEN_ALL)
        assert "llm_mia" in page.title()
        assert page.locator("img").count() == 0


def test_the_browser_refuses_every_request(browser: Any, report: Path) -> None:
    context = browser.new_context()
    sent = list[str]()

    def note(route: Any) -> None:
        sent.append(route.request.url)
        route.abort()

    context.route("https://**", note)
    page = context.new_page()
    page.goto(report.as_uri())
    script = "fetch('https://example.org/').then(() => 'sent', () => 'refused')"
    assert page.evaluate(script) == "refused"
    page.evaluate(
        "() => { const each = new Image(); each.src = 'https://example.org/a.png'; document.body.append(each); }"
    )
    page.wait_for_timeout(100)
    context.close()
    assert sent == []


def test_colours_follow_the_system_until_the_reader_chooses(browser: Any, report: Path) -> None:
    background = "() => getComputedStyle(document.body).backgroundColor"
    with opened(browser, report, color_scheme="light") as page:
        light = page.evaluate(background)
        page.locator("#theme-dark").check()
        dark = page.evaluate(background)
        assert dark != light
        stroke = page.evaluate("() => getComputedStyle(document.querySelector('svg text')).fill")
        page.locator("#theme-light").check()
        assert page.evaluate(background) == light
        assert page.evaluate("() => getComputedStyle(document.querySelector('svg text')).fill") != stroke
    with opened(browser, report, color_scheme="dark", java_script_enabled=True) as page:
        assert page.evaluate(background) == dark


def test_the_keyboard_reaches_everything(browser: Any, report: Path) -> None:
    reached = "(() => { document.activeElement.dataset.reached = 'yes'; return document.activeElement.tagName; })()"
    with opened(browser, report) as page:
        page.evaluate(OPEN_ALL)
        for _ in range(page.locator(FOCUSABLE).count() + 2):
            page.keyboard.press("Tab")
            if page.evaluate(reached) == "BODY":
                break
        missed = page.evaluate(
            f"""[...document.querySelectorAll("{FOCUSABLE}")]
              .filter((each) => each.checkVisibility() && !each.disabled && each.type !== "radio")
              .filter((each) => !each.dataset.reached && each.dataset.reached !== 'yes')
              .map((each) => each.outerHTML.slice(0, 80))"""
        )
        assert missed == []
        page.locator("details.group summary").first.focus()
        page.keyboard.press("Enter")
        assert page.evaluate("document.querySelector('details.group').open") is False


@pytest.mark.parametrize("viewport", [PHONE, LAPTOP, {"width": 800, "height": 600}], ids=["phone", "laptop", "tablet"])
def test_nothing_is_wider_than_the_window(browser: Any, report: Path, viewport: dict[str, int]) -> None:
    with opened(browser, report) as page:
        page.set_viewport_size(viewport)
        page.evaluate(OPEN_ALL)
        assert page.evaluate("document.documentElement.scrollWidth") == viewport["width"]


def test_printing_opens_what_is_folded(browser: Any, report: Path) -> None:
    shown = "() => document.querySelector('details.group tbody tr').checkVisibility()"
    with opened(browser, report) as page:
        assert not page.evaluate(shown)
        page.emulate_media(media="print")
        assert page.evaluate(shown)
        assert page.locator(".contents").is_hidden()
        assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")


def test_without_scripts_the_answer_and_the_checks_can_be_read(browser: Any, report: Path) -> None:
    with opened(browser, report, java_script_enabled=False) as page:
        assert page.locator("noscript").first.is_visible()
        assert page.locator("h1").is_visible()
        page.locator("details.group summary").first.click()
        assert page.locator("details.group tbody tr").first.is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [PHONE, LAPTOP], ids=["phone", "laptop"])
def test_axe_finds_nothing_serious(browser: Any, report: Path, scheme: str, viewport: dict[str, int]) -> None:
    axe = (node_modules("axe-core") / "axe.min.js").read_text(encoding="utf-8")
    with opened(browser, report, color_scheme=scheme) as page:
        page.set_viewport_size(viewport)
        page.evaluate(OPEN_ALL)
        page.evaluate(axe)
        result = page.evaluate("axe.run()")
    violations = [
        (each["id"], each["impact"], [node["target"] for node in each["nodes"]][:3]) for each in result["violations"]
    ]
    assert [each for each in violations if each[1] in ("serious", "critical")] == []
    assert len(result["passes"]) > 20


def test_the_html_validates(report: Path) -> None:
    program = node_modules(".bin") / "html-validate"
    done = subprocess.run(
        ["node", str(program), "--formatter", "json", str(report)], capture_output=True, text=True, check=False
    )
    faults = [
        (message["line"], message["ruleId"], message["message"])
        for each in json.loads(done.stdout)
        for message in each["messages"]
    ]
    assert faults == []
