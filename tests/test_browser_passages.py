"""Documents and passages of report.html in a browser: sorting, filtering, opening, the keyboard, and hostile texts."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llm_mia.report import read_results
from llm_mia.report.html import write_report
from tests.conftest import sentences
from tests.pages import HOSTILE, audited_run

pytestmark = pytest.mark.browser
CHROMIUM = os.environ.get("LLM_MIA_CHROMIUM") or shutil.which("chromium") or ""
LONG = 16_000


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    texts = dict(HOSTILE) | {
        "long": "word " * (LONG // 5),
        **{f"p{n}": text for n, text in enumerate(sentences(112, seed=60))},
    }
    documents = [f"document {number // 2}" for number in range(len(texts))]
    sources = [f"site{number // 30}.example" for number in range(len(texts))]
    folder = audited_run(tmp_path_factory.mktemp("browser") / "run", texts, documents=documents, sources=sources)
    return write_report(folder)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    if not CHROMIUM:
        pytest.skip("there is no chromium: install it, or name it in LLM_MIA_CHROMIUM")
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Any, report: Path) -> Iterator[Any]:
    """The report, opened; afterwards no message is in the console, and no request was made."""
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    messages, requests = list[str](), list[str]()
    opened.on("console", lambda message: messages.append(message.text))
    opened.on("pageerror", lambda error: messages.append(str(error)))
    opened.on("request", lambda request: requests.append(request.url))
    opened.goto(report.as_uri())
    opened.wait_for_selector("#passages-grid tbody tr")
    yield opened
    assert not messages
    assert requests == [report.as_uri()]
    opened.close()


def cells(page: Any, table: str, column: int) -> list[str]:
    """The cells of a column, from 1, as they are shown."""
    rows = page.locator(f"#{table}-grid tbody tr:not(.opened)")
    return [str(text) for text in rows.locator(f"> :nth-child({column})").all_inner_texts()]


def status(page: Any, table: str) -> str:
    return str(page.locator(f"#{table}-grid .count").inner_text())


def wait_for_status(page: Any, text: str) -> None:
    """Wait until the list of passages shows so many rows; the text of passages is searched in the background."""
    page.locator("#passages-grid .count").get_by_text(text, exact=True).wait_for()


def open_passage(page: Any, name: str) -> Any:
    page.locator("#passages-grid input[type=search]").fill(name)
    page.locator("#passages-grid tbody .opener", has_text=name).first.click()
    return page.locator("#passages-grid .passage")


def test_a_click_sorts_and_another_reverses(page: Any, report: Path) -> None:
    scores = [flag.score for flag in read_results(report.parent).flags if flag.score is not None]
    head = page.locator("#passages-grid thead th", has_text="score")
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert float(cells(page, "passages", 4)[0].replace("−", "-")) == pytest.approx(max(scores), rel=1e-4)
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert float(cells(page, "passages", 4)[0].replace("−", "-")) == pytest.approx(min(scores), rel=1e-4)
    assert page.locator("#passages-grid [aria-sort=none]").count() == 5


def test_passages_are_filtered_by_id_document_text_and_flag_and_paged(page: Any) -> None:
    assert status(page, "passages") == "Rows 1 to 50 of 120 passages."
    search = page.locator("#passages-grid input[type=search]")
    search.fill("مرحبا")
    wait_for_status(page, "Rows 1 to 1 of 1 passage, of 120 in all.")
    assert cells(page, "passages", 1) == ["right-to-left"]
    search.fill("document 3")
    wait_for_status(page, "Rows 1 to 22 of 22 passages, of 120 in all.")
    assert set(cells(page, "passages", 2)) == {"document 3", *(f"document 3{n}" for n in range(10))}
    search.fill("nowhere to be seen")
    wait_for_status(page, "0 passages, of 120 in all.")
    search.fill("")
    page.get_by_label("flagged only").check()
    page.locator("#passages-grid .count", has_text=" passage").get_by_text("120 in all").wait_for()
    assert set(cells(page, "passages", 3)) <= {"yes"}
    page.get_by_label("flagged only").uncheck()
    page.locator("#passages-grid .pager button", has_text="Next").click()
    assert status(page, "passages") == "Rows 51 to 100 of 120 passages."


def test_a_document_opens_to_its_passages_and_these_to_their_texts(page: Any) -> None:
    page.get_by_label("Search in documents and sources").fill("document 30")
    page.locator("#documents-grid tbody .opener").click()
    assert sorted(page.locator("#documents-grid .of-document .opener").all_inner_texts()) == ["p52", "p53"]
    page.locator("#documents-grid .of-document .opener").first.click()
    page.locator("#documents-grid .passage .text").wait_for()
    page.locator("#documents-grid tbody tr:not(.opened) .opener").click()
    assert page.locator("#documents-grid .opened").count() == 0
    assert len(cells(page, "sources", 1)) == 4


def test_the_keyboard_does_all_that_the_mouse_does(page: Any, report: Path) -> None:
    results = read_results(report.parent)
    texts = {text.id: (text.text, signals) for text, signals in results.signals("target")}
    name = next(name for name, (text, _) in texts.items() if name.startswith("p") and text.isascii())
    (text, signals), n = texts[name], len(texts[name][0])
    page.locator("#passages-grid input[type=search]").fill(name)
    opener = page.get_by_role("button", name=name, exact=True)
    opener.focus()
    page.keyboard.press("Enter")
    assert opener.get_attribute("aria-expanded") == "true"
    page.locator("#passages-grid .passage .text").focus()
    panel = page.locator("#passages-grid .token")
    page.keyboard.press("ArrowRight")
    assert f"1 of {n}" in panel.inner_text()
    assert "not known" in panel.inner_text(), "nothing precedes the first token"
    page.keyboard.press("End")
    assert f"{n} of {n}" in panel.inner_text()
    page.keyboard.press("ArrowLeft")
    shown = panel.inner_text().replace("−", "-").replace("\xa0", " ")
    assert f'{n - 1} of {n}: "{text[n - 2]}"' in shown
    assert f"{np.rint(100 * signals.logprob[n - 3]) / 100:.2f} nats" in shown, "two decimals are kept"
    assert page.locator("#passages-grid .text .now").inner_text() == text[n - 2]
    page.keyboard.press("Home")
    page.get_by_role("button", name="Next token").press("Enter")
    assert f"2 of {n}" in panel.inner_text()
    opener.press("Enter")
    assert page.locator("#passages-grid .passage").count() == 0


@pytest.mark.parametrize("name", list(HOSTILE))
def test_a_hostile_passage_shows_as_text(page: Any, name: str) -> None:
    title = page.title()
    passage = open_passage(page, name)
    text = passage.locator(".text")
    assert text.evaluate("node => node.textContent") == HOSTILE[name]
    pieces = text.locator(".t").evaluate_all("nodes => nodes.map((node) => node.textContent)")
    assert "".join(pieces) == HOSTILE[name]
    assert len(pieces) == len(HOSTILE[name].encode())
    assert page.locator(".passage img, .passage b, .passage script").count() == 0
    assert page.title() == title


def test_colours_change_and_are_explained(page: Any) -> None:
    passage = open_passage(page, "p20")
    levels = passage.locator(".text .t").evaluate_all("nodes => nodes.map((node) => node.className)")
    assert {"l"} == {name.split()[1][0] for name in levels[1:]}
    assert "less surprising" in passage.locator(".legend").inner_text()
    passage.get_by_label("Difference to the reference").check()
    levels = passage.locator(".text .t").evaluate_all("nodes => nodes.map((node) => node.className)")
    assert {"d"} == {name.split()[1][0] for name in levels[1:]}
    passage.get_by_label("No colour").check()
    assert passage.locator(".legend").inner_text() == ""


def test_a_long_passage_opens_and_redacted_pages_show_none(page: Any, browser: Any, report: Path) -> None:
    passage = open_passage(page, "long")
    assert passage.locator(".text .t").count() == LONG
    redacted = write_report(report.parent, redact=True, out=report.with_name("redacted.html"))
    other = browser.new_page()
    other.goto(redacted.as_uri())
    other.wait_for_selector("#passages-grid tbody tr")
    shown = open_passage(other, "p20")
    assert "holds no text" in shown.inner_text()
    assert shown.locator(".places").count() > 0
    other.close()


def test_a_browser_that_cannot_unpack_says_so_and_keeps_the_table_of_documents(browser: Any, report: Path) -> None:
    opened = browser.new_page()
    opened.add_init_script("delete globalThis.DecompressionStream")
    opened.goto(report.as_uri())
    opened.get_by_text("this browser cannot read it").wait_for()
    assert opened.locator("#documents-grid tbody tr").count() == 60
    opened.close()


def test_without_scripts_the_tables_are_there_and_passages_say_why_not(browser: Any, report: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    opened = context.new_page()
    opened.goto(report.as_uri())
    assert opened.locator("#documents-grid tbody tr").count() == 60
    assert opened.get_by_text("passages needs JavaScript").count() == 1
    assert not opened.locator("#passages-grid").is_visible()
    assert not opened.locator(".controls").first.is_visible()
    context.close()
