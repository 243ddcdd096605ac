"""The page in a real browser: played by clicks and by keys, while it thinks, and after a reload."""

import functools
import re
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from exit.figures import keep_figures
from exit.web import Server, bind
from games.bandit import Bandit
from games.tic_tac_toe import TicTacToe
from tests.desks import desk_of
from tests.measured import bench, frontier

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SCREENSHOTS = Path(__file__).parent.parent / "runs" / "screenshots"
YOU = "&seat=you%7Cslider&seat=you%7Cslider"


@functools.cache
def browser_path() -> str | None:
    return next(filter(None, map(shutil.which, BROWSERS)), None)


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        browser_path() is None, reason="no Chromium here; `make .chromium` installs Debian's where it may"
    ),
]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    desks = [
        desk_of(TicTacToe(), tmp_path_factory.mktemp("ttt"), name="ttt"),
        desk_of(Bandit(2, 4), tmp_path_factory.mktemp("bandit"), name="bandit"),
    ]
    for command, figures in ("frontier", frontier("ttt")), ("bench", bench()):
        keep_figures(desks[0].agent.source, command, figures)
    for desk in desks:
        desk.more(desk.thought(desk.book.at(())), 1)
    with bind("127.0.0.1", 0) as where:
        server = Server(desks, where)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.is_ready:
            time.sleep(0.02)
        yield f"http://127.0.0.1:{where.getsockname()[1]}/"
        server.stop()
        thread.join(timeout=10)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=browser_path(), args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that must not complain."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    found, complaints = context.new_page(), []
    found.set_default_timeout(60_000)
    expect.set_options(timeout=60_000)
    found.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    found.on("pageerror", lambda error: complaints.append(str(error)))
    yield found
    context.close()
    assert complaints == []


def done(page: Page, says: str) -> None:
    expect(page.locator("#state")).to_have_text(re.compile(says))


def keep(page: Page, name: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


def test_a_whole_game_by_clicks(page: Page, address: str) -> None:
    page.goto(f"{address}#agent=ttt&budget=8")
    for _ in range(5):
        expect(page.locator("#turn")).to_have_text(re.compile("Player 1 to move|over"))
        if "over" in page.locator("#turn").inner_text():
            break
        played = page.locator("#played li").count()
        page.locator(".target").first.click()
        expect(page.locator("#played li").nth(played)).to_be_visible()
        expect(page.locator("#turn")).to_have_text(re.compile("Player 1 to move|over"))
    expect(page.locator("#turn")).to_have_text(re.compile("^The game is over"))
    assert page.locator(".target").count() == 0
    keep(page, "game")


def test_the_slider_changes_the_answer_and_the_truth_stands_beside_it(page: Page, address: str) -> None:
    page.goto(f"{address}#agent=ttt&moves=4.0&budget=0{YOU}")
    done(page, "^reflex alone$")
    expect(page.locator("#moves tbody tr .visits").first).to_be_empty()
    expect(page.locator("#moves tbody tr .exact").first).not_to_be_empty()
    page.locator("#budget").fill("6")
    done(page, "^32 simulations$")
    expect(page.locator("#moves tbody tr.best .visits")).not_to_be_empty()
    expect(page.locator("#coherence")).to_contain_text("The network")
    assert "budget=32" in page.url
    keep(page, "thinking")


_WATCH = """
window.seen = [];
addEventListener("DOMContentLoaded", () => new MutationObserver(() => {
  const found = /^thinking: ([0-9]+)/.exec(document.getElementById("state").textContent.replaceAll(",", ""));
  if (found) window.seen.push(found[1]);
}).observe(document.getElementById("state"), { childList: true }));
"""


def test_thinking_streams_stops_and_goes_on(page: Page, address: str) -> None:
    page.add_init_script(_WATCH)
    page.goto(f"{address}#agent=ttt&budget=10s{YOU}")
    # The first answer may be the reflex's, of no simulations yet.
    deadline = time.monotonic() + 60
    while page.evaluate("window.seen.length") < 2:
        assert time.monotonic() < deadline
        page.wait_for_timeout(10)
    page.locator("#stop").click()
    done(page, "^stopped after")
    reached = int(re.sub(r"\D", "", page.locator("#state").inner_text()))
    seen = [int(count) for count in page.evaluate("window.seen")]
    assert seen == sorted(seen)
    page.locator("#longer").click()
    done(page, r"^(proven after )?[\d,]+ simulations$")
    assert int(re.sub(r"\D", "", page.locator("#state").inner_text())) >= reached


@pytest.mark.parametrize(
    ("simulations", "proven", "says"),
    [
        (0, "false", "stopped at the reflex alone"),
        (1, "false", "stopped after 1 simulation"),
        (2000, "false", "stopped after 2,000 simulations"),
        (12, "true", "proven after 12 simulations"),
    ],
)
def test_what_was_stopped_says_how_far_it_came(
    page: Page, address: str, simulations: int, proven: str, says: str
) -> None:
    page.goto(f"{address}#agent=ttt&budget=0{YOU}")
    answer = f"{{ simulations: {simulations}, proven: {proven} }}"
    found = page.evaluate(f"import('/page/words.js').then((words) => words.stoppedText({answer}))")
    assert found == says


def test_the_frontier_recommends_a_budget_and_sets_the_slider(page: Page, address: str) -> None:
    page.goto(f"{address}#agent=ttt&budget=0{YOU}")
    done(page, "^reflex alone$")
    page.locator("#run summary").click()
    expect(page.locator("#frontier")).to_contain_text("Recommended budget: 4.")
    expect(page.locator("#frontier svg")).to_have_attribute("aria-label", re.compile("recommended is 4$"))
    page.get_by_role("button", name="Set the slider there").click()
    done(page, "^4 simulations$")
    assert "budget=4&" in page.url
    page.get_by_role("button", name="Put on the board").click()
    expect(page.locator("#played li")).to_have_text(["1. 4", "2. 2"])
    keep(page, "frontier")


_SHIFTS = """
window.shifted = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_moves_while_it_loads_and_thinks_and_little_is_loaded(
    page: Page, address: str, width: int
) -> None:
    loaded: list[int] = []
    page.on("response", lambda response: loaded.append(len(response.body())))
    page.add_init_script(_SHIFTS)
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{address}#agent=ttt&budget=0{YOU}")
    done(page, "^reflex alone$")
    expect(page.locator("#exact")).to_contain_text("Exact values")
    expect(page.locator("#coherence")).to_contain_text("The network")
    assert len(loaded) > 10
    assert sum(loaded) < 300_000
    assert page.evaluate("window.shifted") < 0.01
    page.evaluate("document.getElementById('budget').focus()")
    page.locator("#budget").fill("14")
    done(page, r"^(proven after )?[\d,]+ simulations$")
    # What a person's own input moves does not count for half a second, which a busy machine may overrun.
    assert page.evaluate("window.shifted") < 0.05


# Colours as they are painted: each layer from the outermost ground to the words, on one pixel.
_CONTRASTS = """() => {
  const pen = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d");
  const luminance = () => {
    const [r, g, b] = [...pen.getImageData(0, 0, 1, 1).data].map((c) => c / 255)
      .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paint = (colour) => { pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1); };
  const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const holder = node.parentElement, box = holder.getBoundingClientRect(), style = getComputedStyle(holder);
    if (!node.data.trim() || !box.width || style.visibility === "hidden") continue;
    if (holder.closest("#board svg, .hidden, .skip, option, :disabled")) continue;
    const layers = [];
    for (let at = holder; at; at = at.parentElement) layers.unshift(getComputedStyle(at).backgroundColor);
    layers.forEach(paint);
    const ground = luminance();
    paint(holder.closest("svg") ? style.fill : style.color);
    const [low, high] = [ground, luminance()].sort((a, b) => a - b);
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    found.push({ words: node.data.trim(), ratio: (high + 0.05) / (low + 0.05), least: large ? 3 : 4.5 });
  }
  return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_words_stand_out_from_what_they_stand_on(
    page: Page, address: str, scheme: Literal["light", "dark"]
) -> None:
    page.emulate_media(color_scheme=scheme)
    page.goto(f"{address}#agent=ttt&moves=4.0.3.1&budget=1{YOU}")
    done(page, "simulation")
    page.locator("#run summary").click()
    page.locator("#setup summary").click()
    expect(page.locator("#frontier button")).to_be_visible()
    page.locator('.target[data-action="8"]').click()
    page.get_by_role("button", name="Why?").click()
    page.locator("#line").fill("x")
    page.locator("#set").click()
    expect(page.locator("#trouble")).to_be_visible()
    found = page.evaluate(_CONTRASTS)
    assert len(found) > 60
    assert [each for each in found if each["ratio"] < each["least"]] == []


def test_a_reload_loses_nothing(page: Page, address: str) -> None:
    page.goto(f"{address}#agent=ttt&moves=4.1&budget=2{YOU}")
    done(page, "^2 simulations$")
    page.locator("#moves tbody button").first.click()
    expect(page.locator("#played li")).to_have_count(3)
    page.reload()
    expect(page.locator("#played li")).to_have_text(["1. 4", "2. 1", "3. 0"])
    expect(page.locator("#budget-text")).to_have_text("2 simulations")
    page.locator("#undo").click()
    expect(page.locator("#played li")).to_have_count(2)


def test_a_mistake_is_told_and_explained(page: Page, address: str) -> None:
    page.goto(f"{address}#agent=ttt&moves=4.0.3.1&budget=1{YOU}")
    done(page, "simulation")
    page.locator('.target[data-action="8"]').click()
    expect(page.locator("#note")).to_contain_text("was a mistake")
    page.get_by_role("button", name="Why?").click()
    expect(page.locator("#why")).to_contain_text("perfect play goes on")


def test_a_mistake_stays_when_an_agent_has_answered(page: Page, address: str) -> None:
    page.goto(f"{address}#agent=ttt&moves=4.0.3.1&budget=1")
    done(page, "simulation")
    page.locator('.target[data-action="8"]').click()
    expect(page.locator("#played li")).to_have_count(6)
    for _ in range(2):
        expect(page.locator("#note")).to_contain_text("Player 1: 8 was a mistake")
        expect(page.locator("#played .wrong").filter(has_text="5. 8")).to_have_count(1)
        page.get_by_role("button", name="Why?").click()
        expect(page.locator("#why")).to_contain_text("perfect play goes on")
        page.reload()
    page.locator("#undo").click()
    expect(page.locator("#played li")).to_have_count(4)
    expect(page.locator("#note")).to_contain_text("Player 2: 1 was a mistake")
    page.locator('.target[data-action="5"]').click()
    expect(page.locator("#turn")).to_contain_text("The game is over")
    expect(page.locator("#note")).to_be_hidden()


def test_a_pause_outlasts_a_reload_and_a_change_of_seats(page: Page, address: str) -> None:
    page.goto(f"{address}#agent=ttt&moves=4.0.3&budget=1&paused=1")
    pause = page.locator("#pause")
    for _ in range(2):
        done(page, "simulation")
        expect(pause).to_have_text("Go on")
        expect(page.locator("#played li")).to_have_count(3)
        page.reload()
    page.locator("#swap").click()
    done(page, "simulation")
    expect(pause).to_have_text("Go on")
    expect(page.locator("#played li")).to_have_count(3)
    pause.click()
    page.locator("#swap").click()
    expect(page.locator("#played li")).to_have_count(4)


def test_a_link_that_leads_nowhere_still_gives_a_board(browser: Browser, address: str) -> None:
    page = browser.new_page()
    page.goto(f"{address}#agent=ttt&moves=99&budget=lots")
    expect(page.locator("#trouble")).to_contain_text("action 99 (move 1) is illegal")
    expect(page.locator(".target")).to_have_count(9)
    page.goto(f"{address}#agent=nope&budget=1{YOU}")
    expect(page.locator("#trouble")).to_contain_text(
        'No agent of the name "nope" is served here; this is ttt.'
    )
    page.close()


def test_auto_shows_how_long_it_thinks(page: Page, address: str) -> None:
    page.goto(f"{address}#agent=ttt&budget=auto{YOU}")
    done(page, "simulation")
    first = page.locator("#state").inner_text()
    page.locator("#longer").click()
    expect(page.locator("#state")).not_to_have_text(first)
    page.reload()
    expect(page.locator("#state")).to_have_text(first)


def test_a_whole_game_by_keys_alone(page: Page, address: str) -> None:
    page.goto(f"{address}#agent=ttt&budget=1{YOU}")
    expect(page.locator(".target")).to_have_count(9)
    for _ in range(12):
        if page.evaluate("document.activeElement.classList.contains('target')"):
            break
        page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.dataset.action") == "1"
    for number in range(9):
        page.keyboard.press("Enter")
        expect(page.locator("#played li")).to_have_count(number + 1)
        if "over" in page.locator("#turn").inner_text():
            break
        assert page.evaluate("document.activeElement.classList.contains('target')")
    expect(page.locator("#turn")).to_have_text(re.compile("^The game is over"))
    expect(page.locator("#live")).to_contain_text("The game is over")


def test_a_position_that_cannot_be_is_refused_in_a_sentence(page: Page, address: str) -> None:
    page.goto(f"{address}#agent=ttt&budget=1{YOU}")
    page.locator("#setup summary").click()
    page.locator("#line").fill("4 x")
    page.locator("#set").click()
    expect(page.locator("#trouble")).to_contain_text('"x" is no move')
    page.locator("#line").fill("4 0 8")
    page.locator("#set").click()
    expect(page.locator("#played li")).to_have_count(3)
    expect(page.locator("#trouble")).to_be_hidden()


def test_a_bandit_is_played_by_an_agent_on_a_narrow_dark_screen(browser: Browser, address: str) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 740}, color_scheme="dark")
    page = context.new_page()
    page.goto(f"{address}#agent=bandit&budget=1&seat=bandit%7Cslider")
    expect(page.locator("#turn")).to_have_text(re.compile("^The game is over; return"), timeout=60_000)
    expect(page.locator("#played li")).to_have_count(4)
    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow <= 0
    keep(page, "bandit-narrow-dark")
    context.close()
