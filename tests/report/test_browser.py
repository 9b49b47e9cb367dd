"""The page in headless Chromium: on a laptop and a phone, in the light and the dark, with keys and taps."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread

from mpcc.compiler.choose.experts.record import read_experts
from mpcc.compiler.choose.table import read_choices
from mpcc.compiler.dumps import read_dumps
from mpcc.compiler.report.data import report_data
from mpcc.compiler.report.page import REPORT_NAME, report_page
from mpcc.runtime.program_folder import read_manifest
from tests.report.conftest import MILLISECONDS, NUMBERS, data_of

pytestmark = pytest.mark.timeout(900)  # the first one of each worker may wait for the browser's installation

LAPTOP, PHONE = (1366, 768), (390, 844)
WIDTHS = (320, 360, 390, 412, 480, 600, 767, 768, 800, 1023, 1087, 1088, 1366, 1600, 1920)
SECTIONS = ("model", "cost", "rounds", "errors", "approximations", "parties", "compiled")
SMALLEST_TEXT, SMALLEST_TARGET = 12, 40  # pixels
HOSTILE = "</script><img src=x onerror='window.hacked=1'><script>window.hacked=1</script>"

Open = Callable[..., Any]


@pytest.fixture
def opened(browser: Any) -> Iterator[Open]:
    """Opens a page from disk; afterwards nothing may have been asked for, and nothing complained of."""
    contexts, asked, complaints = [], list[str](), list[str]()

    def show(path: Path, size: tuple[int, int] = LAPTOP, **options: Any) -> Any:
        width, height = size
        phone = {"has_touch": True, "is_mobile": True} if size == PHONE else {}
        context = browser.new_context(
            viewport={"width": width, "height": height}, offline=True, **phone, **options
        )
        contexts.append(context)
        context.set_default_timeout(MILLISECONDS)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto((path / REPORT_NAME).as_uri())
        asked.remove((path / REPORT_NAME).as_uri())
        return page

    yield show
    for context in contexts:
        context.close()
    assert asked == []
    assert complaints == []


@pytest.fixture(params=["bert", "mixture"])
def program(request: pytest.FixtureRequest) -> Path:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Path)
    return found


def text(page: Any, selector: str) -> str:
    return str(page.inner_text(selector))


def wait(page: Any) -> None:
    """Until everything is drawn: sizes are observed between two frames."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


@pytest.mark.parametrize("size", [LAPTOP, PHONE], ids=["laptop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_screenshots_show_every_section(
    program: Path, opened: Open, tmp_path: Path, size: tuple[int, int], scheme: str
) -> None:
    page = opened(program, size, color_scheme=scheme)
    wait(page)
    for section in SECTIONS:
        png = page.locator(f"#{section}").screenshot(path=tmp_path / f"{section}.png")
        image = colours(png)
        drawn = np.abs(image - image[20, 4]).max(axis=2) > 0.2  # apart from the section's ground
        assert drawn.mean() > 0.01, section
        assert drawn.any(axis=1).mean() > 0.15, section
    ground = colours(page.screenshot())[2, 2].mean()
    assert (ground > 0.5) == (scheme == "light")


def colours(png: bytes) -> np.ndarray:
    """[height, width, 3], 0 to 1."""
    return np.asarray(imread(BytesIO(png)))[:, :, :3]


def test_no_width_scrolls_sideways(program: Path, opened: Open) -> None:
    page = opened(program)
    page.evaluate("() => document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        wait(page)
        assert page.evaluate("() => document.scrollingElement.scrollWidth <= innerWidth"), width


@pytest.mark.parametrize("size", [LAPTOP, PHONE], ids=["laptop", "phone"])
def test_text_is_large_enough(program: Path, opened: Open, size: tuple[int, int]) -> None:
    page = opened(program, size)
    page.evaluate("() => document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    smallest = page.evaluate(
        """() => {
          const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = [];
          while (walker.nextNode()) {
            const parent = walker.currentNode.parentElement;
            if (walker.currentNode.textContent.trim() && parent.getClientRects().length) found.push([parseFloat(getComputedStyle(parent).fontSize), parent.outerHTML.slice(0, 80)]);
          }
          return found.reduce((a, b) => b[0] < a[0] ? b : a);
        }"""  # noqa: E501
    )
    assert smallest[0] >= SMALLEST_TEXT, smallest


def test_targets_are_large_enough_for_a_finger(program: Path, opened: Open) -> None:
    page = opened(program, PHONE)
    small = page.evaluate(
        """(least) => [...document.querySelectorAll("button, select, summary, nav a, .choice label, input[type=range]")]
          .filter((e) => e.getClientRects().length && e.getBoundingClientRect().height < least)
          .map((e) => e.outerHTML.slice(0, 80))""",  # noqa: E501
        SMALLEST_TARGET,
    )
    assert small == []


def test_boxes_do_not_overlap(program: Path, opened: Open) -> None:
    for size in (LAPTOP, PHONE):
        page = opened(program, size)
        overlapping = page.evaluate(
            """() => {
              const boxes = [...document.querySelectorAll(".pane .box")].map((b) => b.getBoundingClientRect());
              return boxes.filter((a, i) => boxes.some((b, j) => i < j && a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1)).length;
            }"""  # noqa: E501
        )
        assert overlapping == 0


def test_a_layer_opens_into_operations_and_these_into_protocols(bert: Path, opened: Open) -> None:
    page = opened(bert)
    assert text(page, "#operations-title") == "layer.0"
    page.click("#pane-layers .box:has-text('layer.1')")
    assert text(page, "#operations-title") == "layer.1"
    page.click("#pane-operations .box:has-text('gelu')")
    assert text(page, "#pane-details h3") == "layer.1 \u203a gelu"
    page.click("#pane-details summary")
    operations = data_of(bert)["operations"]
    gelu = [o for o in operations if o["kind"] == "gelu"][1]
    rows = page.locator("#pane-details table tr").count() - 1
    assert rows == len(gelu["share_operations"])
    assert gelu["onnx_nodes"][0] in text(page, "#pane-details")
    assert "sine_series" in text(page, "#pane-details")


def test_the_model_can_be_walked_with_the_keyboard(bert: Path, opened: Open) -> None:
    page = opened(bert)
    page.focus("#pane-layers .box >> nth=0")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert text(page, "#operations-title") == "layer.1"
    page.focus("#pane-operations .box >> nth=1")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    focused = "() => document.activeElement.querySelector('b').textContent"
    assert page.evaluate(focused) == "linear"
    page.keyboard.press("Enter")
    assert text(page, "#pane-details h3") == "layer.1 \u203a linear"
    page.keyboard.press("Escape")
    assert page.evaluate(focused) == "layer.1"


def test_on_a_phone_what_opens_comes_into_view(bert: Path, opened: Open) -> None:
    page = opened(bert, PHONE)
    page.tap("#pane-layers .box:has-text('layer.1')")
    assert (
        0
        <= page.evaluate("() => document.getElementById('pane-operations').getBoundingClientRect().top")
        < 100
    )
    page.tap("#pane-operations .box:has-text('softmax')")
    assert (
        0 <= page.evaluate("() => document.getElementById('pane-details').getBoundingClientRect().top") < 400
    )


def test_equal_layers_unfold(bert: Path, opened: Open, tmp_path: Path) -> None:
    data = data_of(bert)
    first = data["graph"]["layers"]["whole"]
    folded = {"rows": [[0], [1]], "edges": [[0, 1, -1]], "lanes": 0}
    nodes = [{"layers": [0]}, {"layers": list(range(1, len(first["nodes"])))}]
    data["graph"]["layers"]["folded"] = {**folded, "nodes": nodes}
    (tmp_path / REPORT_NAME).write_text(report_page(data), encoding="utf-8")
    page = opened(tmp_path)
    assert page.locator("#pane-layers .box").count() == 2
    assert "equal layers" in text(page, "#pane-layers .box.folded")
    page.click("#fold")
    assert page.locator("#pane-layers .box").count() == len(data["layers"])
    page.click("#fold")
    page.click("#pane-layers .box.folded")
    assert page.locator("#pane-layers .box").count() == len(data["layers"])


def test_costs_change_with_the_choices(bert: Path, opened: Open) -> None:
    page = opened(bert)
    labels = "() => [...document.querySelectorAll('.bars .label')].map((e) => e.textContent)"
    data = data_of(bert)
    assert page.evaluate(labels) == [layer["label"] for layer in data["layers"]]
    page.check("input[name=split][value=operation]")
    assert "softmax" in text(page, "#cost-key")
    page.check("input[name=group][value=kinds]")
    page.check("input[name=quantity][value=dealt]")
    costly = sorted(data["kinds"], key=lambda kind: -kind["offline_bytes"])
    assert page.evaluate(labels)[0] == costly[0]["label"]
    assert "dealt" in text(page, "#cost-key")
    page.check("input[name=quantity][value=rounds]")
    assert text(page, ".bars .value >> nth=0") == str(max(kind["rounds"] for kind in data["kinds"]))


def test_the_bars_add_up(bert: Path, opened: Open) -> None:
    page = opened(bert)
    page.check("input[name=split][value=operation]")
    widths = page.evaluate(
        "() => [...document.querySelectorAll('.bars .track')].map((t) => [...t.children].reduce((s, i) => s + parseFloat(i.style.width), 0))"  # noqa: E501
    )
    online = [sum(layer["bytes"]) for layer in data_of(bert)["layers"]]
    assert widths == pytest.approx([100 * bytes / max(online) for bytes in online], abs=0.1)


def test_a_round_tells_what_is_sent(bert: Path, opened: Open) -> None:
    page = opened(bert)
    rounds = data_of(bert)["rounds"]
    page.fill("#rounds-slider", "0")
    assert text(page, "#rounds-told").startswith(f"Round 1 of {len(rounds)}:")
    page.click("[data-step='1']")
    assert text(page, "#rounds-told").startswith("Round 2 of")
    page.focus("#rounds-plot")
    page.keyboard.press("End")
    assert text(page, "#rounds-told").startswith(f"Round {len(rounds)} of")
    page.hover("#rounds-plot", position={"x": 70, "y": 60})
    assert text(page, "#rounds-told").startswith("Round 1 of")


def test_errors_are_told(bert: Path, opened: Open) -> None:
    page = opened(bert)
    assert text(page, "#errors-told").startswith("output logits: 0.25 secure, 0.125 in the clear")
    page.focus("#errors-plot > div")
    page.keyboard.press("Home")
    assert text(page, "#errors-told").startswith("layer.0: ")
    page.check("input[name=errors-by][value=operations]")
    assert text(page, "#errors-told").startswith("layer.1 \u203a gelu: 0.125 secure")
    assert page.locator("#errors-plot polyline").count() == len(NUMBERS) - 2


def test_an_approximation_is_found_from_its_operation(bert: Path, opened: Open) -> None:
    page = opened(bert)
    page.click("#pane-layers .box:has-text('layer.1')")
    page.click("#pane-operations .box:has-text('gelu')")
    page.click("#pane-details dd button")
    card = page.evaluate("() => document.activeElement.querySelector('h3').textContent")
    assert card.startswith("gelu: ")
    for index, entry in enumerate(data_of(bert)["approximations"]["cards"]):
        curves = entry["variants"][0]["curves"]
        assert page.locator(f"#card-{index} figure").count() == len(curves)
        assert page.locator(f"#card-{index} polyline").count() == 3 * len(curves)
    told = page.locator(f"#{page.evaluate('() => document.activeElement.id')} .told")
    assert told.inner_text().startswith("Largest error in calibration, x = ")


def test_another_variant_is_chosen(bert: Path, opened: Open) -> None:
    page = opened(bert)
    cards = data_of(bert)["approximations"]["cards"]
    index = next(i for i, card in enumerate(cards) if len(card["variants"]) > 1)
    before = text(page, f"#card-{index} .about")
    page.select_option(f"#card-{index} select", index=1)
    assert text(page, f"#card-{index} .about") != before


def test_a_mixture_shows_its_parts_and_layouts(mixture: Path, opened: Open) -> None:
    page = opened(mixture)
    page.click("#pane-operations .box:has-text('moe')")
    assert "top_k" in text(page, "#pane-details .graph")
    (layer,) = data_of(mixture)["experts"]["layers"]
    assert page.locator("#experts tr").count() == 2 + len(layer["others"])


@pytest.mark.parametrize("size", [LAPTOP, PHONE], ids=["laptop", "phone"])
def test_hostile_names_do_nothing(bert: Path, opened: Open, tmp_path: Path, size: tuple[int, int]) -> None:
    manifest = json.loads(json.dumps(read_manifest(bert)).replace("logits", HOSTILE))
    dumps = [
        (
            HOSTILE,
            replace(
                program,
                name=HOSTILE,
                operations=[
                    replace(o, onnx_nodes=tuple(f"{HOSTILE}{node}" for node in o.onnx_nodes))
                    for o in program.operations
                ],
            ),
        )
        for _, program in read_dumps(bert)
    ]
    choices = read_choices(bert)
    for node in choices["nodes"]:
        node["layer"], node["onnx_nodes"] = HOSTILE, [HOSTILE]
        node["runner_up"]["why_not"] = HOSTILE
        node["chosen"]["approximation"] |= {"name": HOSTILE, "source": HOSTILE}
    data = report_data(manifest, dumps, choices, read_experts(bert), {})
    (tmp_path / REPORT_NAME).write_text(report_page(data), encoding="utf-8")
    page = opened(tmp_path, size)
    page.evaluate("() => document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    assert page.title().startswith(HOSTILE)
    assert page.evaluate("() => window.hacked") is None
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 2
    assert page.evaluate("() => document.scrollingElement.scrollWidth <= innerWidth")


def test_without_script_there_are_tables(bert: Path, opened: Open) -> None:
    page = opened(bert, java_script_enabled=False)
    assert not page.locator("#cost-bars").is_visible()
    assert not page.locator("#pane-layers").is_visible()
    assert page.locator("#parties table >> nth=0").is_visible()
    page.click("summary:has-text('All operations as a table')")
    assert page.locator("#model td:has-text('softmax') >> nth=0").is_visible()


def test_on_paper_there_are_no_controls(bert: Path, opened: Open) -> None:
    page = opened(bert)
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    assert not page.locator("#cost-tools").is_visible()
    assert page.locator("#cost-bars").is_visible()
