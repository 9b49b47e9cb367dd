"""Rows and lanes of graphs."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mpcc.compiler.report.layout import COLUMNS, layout


@st.composite
def graphs(draw: st.DrawFn) -> tuple[int, list[tuple[int, int]]]:
    count = draw(st.integers(1, 14))
    pairs = [(a, b) for b in range(count) for a in range(b)]
    return count, draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []


def test_a_residual_connection_runs_in_a_lane() -> None:
    drawn = layout(4, [(0, 1), (1, 2), (0, 2), (2, 3)])
    assert drawn == {
        "rows": [[0], [1], [2], [3]],
        "edges": [[0, 1, -1], [0, 2, 0], [1, 2, -1], [2, 3, -1]],
        "lanes": 1,
    }


def test_a_short_edge_runs_inside_a_long_one() -> None:
    chain = [(i, i + 1) for i in range(5)]
    drawn = layout(6, [*chain, (0, 5), (1, 3)])
    assert {(a, b): lane for a, b, lane in drawn["edges"] if lane >= 0} == {(0, 5): 1, (1, 3): 0}


def test_a_wide_generation_takes_several_rows() -> None:
    drawn = layout(COLUMNS + 2, [(0, i) for i in range(1, COLUMNS + 2)])
    assert [len(row) for row in drawn["rows"]] == [1, COLUMNS, 1]


@settings(deadline=None)
@given(graphs())
def test_every_node_stands_below_what_it_reads_and_no_lane_is_taken_twice(
    graph: tuple[int, list[tuple[int, int]]],
) -> None:
    count, edges = graph
    drawn = layout(count, edges)
    row_of = {node: index for index, row in enumerate(drawn["rows"]) for node in row}
    assert sorted(row_of) == list(range(count))
    assert max(map(len, drawn["rows"])) <= COLUMNS
    assert sorted((a, b) for a, b, _ in drawn["edges"]) == sorted(edges)
    passed: dict[tuple[int, int], int] = {}
    for a, b, lane in drawn["edges"]:
        assert row_of[a] < row_of[b]
        assert (lane >= 0) == (row_of[b] - row_of[a] > 1)
        assert lane < drawn["lanes"]
        for row in range(row_of[a], row_of[b]) if lane >= 0 else ():
            assert passed.setdefault((lane, row), a) == a  # one node's edges share their lane
