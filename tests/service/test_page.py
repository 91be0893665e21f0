"""The page in a headless Chromium; left out where there is none, or no playwright."""

import asyncio
import functools
import io
import shutil
import socket
import threading

import numpy as np
import pytest
import uvicorn
from PIL import Image

from reex_jax.service.app import make_app
from reex_jax.service.parts import make_parts

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium"),
    # playwright leaves its event loop open at the end.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def served(model, scenes, settings, tmp_path_factory, wait_until):
    """(address, parts) of a service that listens; it asks for a token on its other name."""
    index, demo = scenes
    folder = tmp_path_factory.mktemp("state")
    parts = make_parts(model, "bundled", index, settings, folder, demo=demo)
    parts.teacher.warm = ()
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        config = uvicorn.Config(make_app(parts), log_config=None, ws="none")
        server = uvicorn.Server(config)
        run = functools.partial(server.serve, sockets=[bound])
        thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
        thread.start()
        wait_until(lambda: parts.ready)
        yield f"http://127.0.0.1:{bound.getsockname()[1]}", parts
        server.should_exit = True
        thread.join(60)


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as run:
        launched = run.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def page(browser, served):
    """The page, loaded; at the end it must have had no error and asked nobody else."""
    opened = browser.new_page(viewport={"width": 1180, "height": 900})
    complaints, foreign = [], []
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("console", lambda m: complaints.append(m.text) if "Policy" in m.text else None)
    own = (served[0], "data:", "blob:")
    opened.on("request", lambda r: None if r.url.startswith(own) else foreign.append(r.url))
    opened.goto(served[0])
    opened.wait_for_selector("#demo:visible")
    opened.wait_for_selector("#message", state="hidden")
    yield opened
    opened.close()
    assert complaints == [] and foreign == []


def test_a_text_is_searched_by_keyboard_alone(page):
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("/")
    page.keyboard.type("a rde crcle")
    page.keyboard.press("Enter")
    page.wait_for_selector("#after .hit")
    assert page.locator("#before .hit").count() == page.locator("#after .hit").count() == 10
    assert page.locator("#diff del").first.inner_text() == "rde"
    assert page.locator("#diff ins").count() >= 1
    assert "its weight" in page.inner_text("#facts")


def test_a_dropped_picture_finds_itself(page, scenes):
    content = bytes(scenes[0].thumbnail(11))
    transfer = page.evaluate_handle(
        """(bytes) => { const t = new DataTransfer();
        const file = new File([new Uint8Array(bytes)], "a.png", {type: "image/png"});
        t.items.add(file); return t; }""",
        list(content),
    )
    page.select_option("#noise", "")
    page.dispatch_event("#drop", "drop", {"dataTransfer": transfer})
    page.wait_for_selector("#after .hit")
    assert page.get_attribute("#after .hit >> nth=0", "title") == scenes[0].ids[11]
    assert page.is_visible("#picture")


def test_a_chosen_file_and_one_that_is_no_picture(page):
    noise = np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "PNG")
    good = {"name": "a.png", "mimeType": "image/png", "buffer": file.getvalue()}
    page.set_input_files("#file", good)
    page.wait_for_selector("#after .hit")
    page.set_input_files("#file", good | {"buffer": b"no picture"})
    page.wait_for_selector("#message.bad")
    assert "not an image" in page.inner_text("#message")


def test_a_stream_is_counted_and_learned_from(page, served, wait_until):
    page.locator("#severity").fill("3")
    page.click("text=Captions")
    assert page.input_value("#noise") == "text:ocr"
    page.click("#stream")
    page.wait_for_selector("text=32 queries so far")
    page.keyboard.press("Escape")
    page.wait_for_selector("#stream:has-text('Run a stream')")
    for cell in ("#was-1", "#was-10", "#now-1", "#now-10"):
        assert page.inner_text(cell).endswith("%")
    assert page.locator("#chart path").count() == 2
    wait_until(lambda: served[1].engine.view(("text", "reex")).batches > 0)
    page.click("#reset")
    page.wait_for_selector("text=forgotten")
    assert page.inner_text("#counted") == "No queries yet."
    assert served[1].engine.view(("text", "reex")).batches == 0


def test_switches_repeat_the_search(page):
    page.click("#one")
    page.wait_for_selector(".answer, #after .hit")
    assert page.locator("#picture").get_attribute("src").startswith("data:image/png")
    with page.expect_response("**/v1/search") as asked:
        page.uncheck("#calibration")
    assert asked.value.json()["calibration"] is False
    with page.expect_response("**/v1/search") as asked:
        page.select_option("#method", "none")
    assert asked.value.json()["method"] == "none"


def test_what_is_wrong_is_said(page, served):
    page.press("#text", "Enter")
    assert "Say what you are looking for" in page.inner_text("#message.bad")
    page.route("**/v1/search", lambda route: route.abort())
    page.fill("#text", "a ring")
    page.press("#text", "Enter")
    page.wait_for_selector("text=cannot be reached")
    busy = {"status": 503, "headers": {"retry-after": "0"}, "body": '{"error": "too many"}'}
    page.unroute("**/v1/search")
    page.route("**/v1/search", lambda route: route.fulfill(**busy))
    page.press("#text", "Enter")
    page.wait_for_selector("text=Too many.")
    page.unroute("**/v1/search")
    page.press("#text", "Enter")
    page.wait_for_selector("#message", state="hidden")


def test_a_token_is_asked_for_and_kept(page, served):
    def door(route):
        if route.request.headers.get("authorization") == "Bearer right":
            route.continue_()
        else:
            route.fulfill(status=401, body='{"error": "a token is needed"}')

    page.route("**/v1/**", door)
    page.reload()
    page.wait_for_selector("#token-form:visible")
    page.fill("#token", "right")
    page.press("#token", "Enter")
    page.wait_for_selector("#demo:visible")
    page.fill("#text", "a ring")
    page.press("#text", "Enter")
    page.wait_for_selector("#after .hit img[src^=blob]")


@pytest.mark.parametrize("width", [320, 390, 768])
def test_narrow_windows_need_no_sideways_scrolling(page, width):
    page.set_viewport_size({"width": width, "height": 800})
    page.fill("#text", "a ring")
    page.press("#text", "Enter")
    page.wait_for_selector("#after .hit")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_api_page_lists_every_address(page, served):
    page.goto(served[0] + "/docs")
    page.wait_for_selector("section.card")
    text = page.inner_text("main")
    for path in ("/v1/search", "/v1/state/reset", "/metrics"):
        assert path in text
