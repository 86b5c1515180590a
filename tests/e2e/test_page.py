"""The page in a real Chromium: what a person sees while orders come in, and that nothing leaves the machine."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.shop_server import SECRETS, ShopServer, order_body, shop_server

pytestmark = pytest.mark.browser

# A sandbox inside of a container's own is not to be had; the rest keeps the browser from calling home.
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()

# A push comes within half a second; a busy machine takes a few times that.
SEEN_WITHIN_MS = 15_000

SCRIPT = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


@pytest.fixture(scope="module")
def browser(chromium_path: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def shop(home: Path) -> Iterator[ShopServer]:
    with shop_server(home) as running:
        yield running


@contextmanager
def opened(browser: Browser, shop: ShopServer, **wanted: Any) -> Iterator[Page]:
    """The page, until the block ends; nothing it did may have been refused, failed, or gone elsewhere."""
    context = browser.new_context(**wanted)
    page = context.new_page()
    page.set_default_timeout(SEEN_WITHIN_MS)
    expect.set_options(timeout=SEEN_WITHIN_MS)
    complaints: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(shop.url)
    expect(page.locator("#link-text")).to_have_text("Live")
    yield page
    assert complaints == []
    assert [url for url in asked if not url.startswith((f"{shop.url}/", "data:"))] == []
    context.close()


def figure(page: Page, name: str) -> Any:
    return page.locator(f'.tile .value[data-name="{name}"]')


def test_an_empty_shop_says_what_to_do(browser: Browser, shop: ShopServer) -> None:
    with opened(browser, shop) as page:
        expect(page.get_by_role("heading", name="No orders yet")).to_be_visible()
        commands = page.locator("#try").inner_text().splitlines()
        assert len(commands) == 2
        assert all(command.startswith(f"curl {shop.url}/") for command in commands)
        expect(figure(page, "Orders")).to_have_text("0")


def test_orders_appear_and_numbers_change_without_reload(browser: Browser, shop: ShopServer) -> None:
    with opened(browser, shop) as page:
        page.evaluate("window.loadedOnce = true")
        shop.receive("stock-1")
        shop.place("first-1")
        expect(page.locator("#empty")).to_be_hidden()
        row = page.get_by_role("row", name="first-1")
        expect(row).to_contain_text("18.80 GBP")
        expect(row.locator(".state")).to_have_text("completed")
        expect(figure(page, "Orders")).to_have_text("1")
        expect(figure(page, "Revenue")).to_have_text("18.80")
        expect(figure(page, "Units shipped")).to_have_text("6")
        for number in range(2, 5):
            shop.place(f"more-{number}")
        expect(figure(page, "Orders")).to_have_text("4")
        expect(figure(page, "Revenue")).to_have_text("75.20")
        expect(page.locator("#orders tr").first).to_contain_text("more-4")
        expect(page.locator("#chart canvas")).to_be_visible()
        expect(page.locator('#states b[data-name="completed"]')).to_have_text("4")
        assert page.evaluate("window.loadedOnce") is True


def test_holds_low_stock_and_consumers_are_shown(browser: Browser, shop: ShopServer) -> None:
    with opened(browser, shop) as page:
        shop.receive("stock-1", quantity=5)
        shop.place("waits-1")
        expect(page.get_by_role("row", name="waits-1")).to_contain_text("held: backorder")
        expect(page.locator("#holds")).to_contain_text("backorder 1")
        low = page.locator("#low tr")
        expect(low).to_have_count(1)
        expect(low.locator("td")).to_have_text(["5", "1", "–"])
        expect(page.locator("#consumers tr", has_text="order_status")).to_have_count(1)
        expect(page.locator("#consumers-state")).to_have_text("all caught up")
        shop.receive("stock-2", quantity=100)
        expect(page.locator("#low-none")).to_be_visible()
        expect(page.locator("#holds-part")).to_be_hidden()


def test_an_order_opens_with_its_timeline_and_follows_it(browser: Browser, shop: ShopServer) -> None:
    with opened(browser, shop) as page:
        order_id = shop.place("opened-1", payment_token="tok_decline")
        page.get_by_role("link", name="opened-1").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("Order opened-1")
        expect(dialog.locator("#timeline")).to_contain_text("declined")
        assert page.url.endswith(f"#order/{order_id}")
        expect(dialog).to_contain_text("The payment was declined")
        assert not [secret for secret in SECRETS if secret in page.content()]
        shop.receive("stock-1")
        shop.post(f"/orders/{order_id}/holds/payment/release", {"payment_token": "tok_ok"})
        expect(dialog.locator("#timeline")).to_contain_text("completed")
        expect(dialog.get_by_role("link", name="packing slip")).to_be_visible()
        page.reload()
        expect(page.get_by_role("dialog")).to_contain_text("Order opened-1")
        page.get_by_role("button", name="Close").click()
        expect(page.get_by_role("dialog")).to_have_count(0)
        assert "#" not in page.url


def test_the_keyboard_is_enough(browser: Browser, shop: ShopServer) -> None:
    with opened(browser, shop) as page:
        shop.place("keys-1")
        link = page.get_by_role("link", name="keys-1")
        expect(link).to_be_visible()
        for _ in range(10):
            page.keyboard.press("Tab")
            if link.evaluate("element => element === document.activeElement"):
                break
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog")).to_contain_text("Order keys-1")
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
        expect(link).to_be_focused()


def test_what_a_shop_sends_stays_text(browser: Browser, shop: ShopServer) -> None:
    with opened(browser, shop) as page:
        lines = [{"sku": "NEVER-STOCKED", "quantity": 1, "unit_price": "1.00", "description": SCRIPT}]
        body = order_body(SCRIPT, channel="<b>bold</b>", customer=SCRIPT, lines=lines, charges=[], total="1.00")
        assert shop.post("/orders", body).status_code == 201
        expect(page.locator("#orders a")).to_have_text(SCRIPT)
        page.locator("#orders a").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text(f"Order {SCRIPT}")
        expect(dialog.locator(".goods")).to_contain_text(SCRIPT)
        assert page.locator("main img, dialog img, main b:text('bold')").count() == 0
        assert page.title() == "Waybill"


def test_the_policy_lets_no_script_of_others_in(browser: Browser, shop: ShopServer) -> None:
    policy = shop.get("/").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for path in ("/static/app.js", "/static/vendor/uPlot.iife.min.js", "/static/vendor/pico.min.css"):
        answer = shop.get(path)
        assert answer.status_code == 200
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert shop.get("/static/..%2Fpage.py").status_code == 404


def test_a_lost_connection_is_seen_and_found_again(browser: Browser, home: Path) -> None:
    with shop_server(home) as shop:
        context = browser.new_context()
        page = context.new_page()
        expect.set_options(timeout=SEEN_WITHIN_MS)
        page.goto(shop.url)
        expect(page.locator("#link-text")).to_have_text("Live")
        port = int(shop.url.rpartition(":")[2])
    expect(page.locator("#link-text")).to_have_text("Connection lost, trying again…")
    with shop_server(home, port=port) as shop:
        shop.place("back-1")
        expect(page.locator("#link-text")).to_have_text("Live")
        expect(page.locator("#orders")).to_contain_text("back-1")
        context.close()


def test_redis_that_is_away_is_said_on_the_page(browser: Browser, home: Path, free_port: int) -> None:
    with shop_server(home, redis_url=f"redis://127.0.0.1:{free_port}") as shop:
        context = browser.new_context()
        page = context.new_page()
        page.goto(shop.url)
        expect(page.get_by_role("alert")).to_contain_text("The read models are away")
        context.close()


@pytest.mark.parametrize(("width", "scheme"), [(1360, "light"), (1360, "dark"), (390, "light"), (390, "dark")], ids=str)
def test_it_fits_the_screen_in_either_theme(browser: Browser, shop: ShopServer, width: int, scheme: Any) -> None:
    shop.receive("stock-1", quantity=20)
    for number in range(8):
        shop.place(f"fits-{number}")
    with opened(browser, shop, viewport={"width": width, "height": 844}, color_scheme=scheme) as page:
        expect(page.locator("#orders tr")).to_have_count(8)
        wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wider == 0, "it scrolls sideways"
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        brightness = sum(int(part) for part in paper.removeprefix("rgb(").removesuffix(")").split(",")) / 3
        assert (brightness < 128) == (scheme == "dark")
        page.get_by_role("button", name="Theme").click()
        assert page.evaluate("document.documentElement.dataset.theme") == "light"


def test_a_burst_does_not_freeze_it(browser: Browser, shop: ShopServer) -> None:
    shop.receive("stock-1", quantity=100_000)
    with opened(browser, shop) as page:
        for number in range(60):
            shop.place(f"burst-{number}")
        began = time.monotonic()
        expect(figure(page, "Orders")).to_have_text("60")
        assert time.monotonic() - began < 10
        expect(page.locator("#orders tr")).to_have_count(18)
