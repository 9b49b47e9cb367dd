"""The page's text: whole, self-contained, and the data of report.json."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest

from mpcc.compiler.dumps import read_dumps
from mpcc.compiler.inspect import VERIFY_NAME, inspect_command
from mpcc.compiler.report.data import report_data
from mpcc.compiler.report.page import DATA_NAME, REPORT_NAME, report_page
from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.program_folder import read_manifest
from tests.compiler.html_page import Page
from tests.report.conftest import data_of

HOSTILE = "</script><img src=x onerror=alert(1)>"


class ReportPage(Page):
    """Also collects the scripts and the content security policy; links within the page load nothing."""

    def __init__(self, text: str) -> None:
        self.scripts: list[str] = []
        self.policy = ""
        super().__init__(text)
        self.loaded = [address for address in self.loaded if not address.startswith("href=#")]

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        super().handle_starttag(tag, attributes)
        given = {name: value or "" for name, value in attributes}
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"]
        assert not [name for name in given if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["script"]:
            self.scripts.append(data)


@pytest.fixture(params=["bert", "mixture"])
def program(request: pytest.FixtureRequest) -> Path:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Path)
    return found


def test_the_page_is_whole_and_loads_nothing(program: Path) -> None:
    text = (program / REPORT_NAME).read_text(encoding="utf-8")
    page = ReportPage(text)
    assert page.open == []
    assert page.loaded == []
    assert "@import" not in text
    assert not re.search("(&lt;|<)(built-in|function|bound)", text)  # a dict's method in a field's place
    assert "default-src 'none'" in page.policy


def test_the_page_holds_the_same_data_as_the_file(program: Path) -> None:
    embedded, _ = ReportPage((program / REPORT_NAME).read_text(encoding="utf-8")).scripts
    assert json.loads(embedded) == data_of(program)


def test_only_the_pages_own_script_may_run(program: Path) -> None:
    page = ReportPage((program / REPORT_NAME).read_text(encoding="utf-8"))
    digest = base64.b64encode(hashlib.sha256(page.scripts[1].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in page.policy
    assert "innerHTML" not in page.scripts[1]


def test_the_tables_need_no_script(bert: Path) -> None:
    text = (bert / REPORT_NAME).read_text(encoding="utf-8").split('<script type="application/json"')[0]
    for shown in (
        "By layer, as a table",
        '<td class="name">layer.1</td>',
        '<td class="name">layer.0: softmax</td>',
        '<td class="name">output logits</td>',
        "What each party learns",
        "<td>open_masked</td>",
        "gelu: series",
        "Runner-up",
    ):
        assert shown in text, shown


def test_names_from_the_model_are_escaped(bert: Path) -> None:
    manifest = read_manifest(bert)
    manifest["outputs"] = [{**manifest["outputs"][0], "name": HOSTILE}]
    text = report_page(report_data(manifest, read_dumps(bert), {}, {}, {}))
    page = ReportPage(text)
    assert "img" not in page.tags
    assert json.loads(page.scripts[0])["outputs"][0]["name"] == HOSTILE
    assert "&lt;/script&gt;&lt;img" in text


def test_inspect_writes_both_again(bert: Path) -> None:
    before = data_of(bert)
    (bert / DATA_NAME).unlink()
    assert Path(inspect_command(bert, None, html=True)) == bert / REPORT_NAME
    assert data_of(bert) == before


def test_a_report_of_something_else_is_refused(gpt: Path) -> None:
    path = gpt / VERIFY_NAME
    path.write_text(json.dumps({"error": {}}))
    try:
        with pytest.raises(MpccError) as caught:
            inspect_command(gpt, None, html=True)
        assert caught.value.code == "MPC-C062"
    finally:
        path.unlink()


def test_what_compile_wrote_inspect_writes(mixture: Path) -> None:
    """From the objects in memory and from the files comes the same."""
    compiled = data_of(mixture)
    inspect_command(mixture, None, html=True)
    assert data_of(mixture) == compiled
