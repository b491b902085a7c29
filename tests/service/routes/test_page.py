"""The playground in a real browser: what a person clicks, and what the policy forbids."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.service.conftest import Client
from tests.service.server.processes import running
from tests.service.server.program import SERVER

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--window-size=1400,900",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


def test_the_page_comes_with_a_strict_policy_and_from_here_alone(client: Client) -> None:
    """No script or style but the service's own files, none inline."""
    reply = client.get("/")
    assert reply.status_code == 200
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in reply.text.replace("<!doctype html>", "")
    for name, kind in (("page.js", "text/javascript"), ("page.css", "text/css")):
        assert client.get(f"/page/{name}").headers["content-type"].startswith(kind)
    for path in ("/page/nope.js", "/page/..%2f__init__.py", "/page/%2e%2e/app.py"):
        assert client.get(path).status_code == 404


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    found = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield found
    found.quit()


def until(condition: Callable[[], Any]) -> Any:
    for _ in range(100):
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen within 5 seconds")


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_person_ranks_on_the_page(browser: Any, tmp_path: Path) -> None:
    """An example is drawn and ranked, a pasted request moves, an error is read; the console stays clean."""

    def by(selector: str) -> list[Any]:
        found: list[Any] = browser.find_elements("css selector", selector)
        return found

    with running("-c", SERVER) as (_, url):
        browser.get(url)
        until(lambda: by("#model option") and "candidates" in by("#request")[0].get_attribute("value"))
        by("#rank")[0].click()
        until(lambda: len(by("#results tbody tr")) == 10)
        assert len(by("#results svg")) == 30
        pasted = '{"candidates":[{"id":"low","features":[0,0,0]},{"id":"high","features":{"price":2}}]}'
        browser.execute_script("document.getElementById('request').value = arguments[0]", pasted)
        by("#rank")[0].click()
        until(lambda: len(by("#results tbody tr")) == 2)
        first = [cell.text for cell in by("#results tbody tr:first-child td")]
        assert first[:4] == ["2", "1", "▲ 1", "high"]
        assert "missing feature: bm25 1" in by("#message")[0].text
        browser.execute_script("document.getElementById('request').value = '{\"candidates\": []}'")
        by("#rank")[0].click()
        until(lambda: "candidates is empty" in by("#message")[0].text)
        browser.save_screenshot(str(tmp_path / "page.png"))
        complaints = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    # The browser itself notes the 422 above; nothing else may be there, the policy's refusals least of all.
    assert all("422" in message for message in complaints), complaints
