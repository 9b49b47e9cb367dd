"""The information-flow rules against classes that infer whatever leaks: the last line of defence."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mpcc.ir.dialects import base
from mpcc.ir.dialects.share import ShareOperation
from mpcc.ir.program import Attributes, Builder, Stage, Value
from mpcc.ir.types import RingType, Sharing, TensorType, Type, Visibility
from tests.ir.programs import problems


class Leak(ShareOperation):
    """Says that its result has whatever type is asked for: only the flow rules stand against it."""

    name = "leak"
    result: Type

    @classmethod
    def infer(cls, operands: list[Type], attributes: Attributes) -> list[Type]:
        return [cls.result]


@pytest.fixture
def leak() -> Iterator[None]:
    registry = dict(base._registry)
    base.register(Leak)
    base.register(type("TensorLeak", (Leak,), {"stage": Stage.TENSOR}))
    yield
    base._registry.clear()
    base._registry.update(registry)


def leaked(operands: list[Sharing], result: Sharing, opens: str | None = None) -> list[str]:
    """Messages for a class that turns operands into a result of these sharings."""
    builder = Builder("p", Stage.SHARE)
    types = [RingType(sharing, 64, 0, (2,)) for sharing in operands]
    values = [Value(f"in{i}", t) for i, t in enumerate(types)]
    Leak.result, Leak.opens = RingType(result, 64, 0, (2,)), opens
    builder.append("leak", values, {}, [Leak.result])
    return [message for code, _, message in problems(builder.program) if code == "MPC-I025"]


SECRETS = [Sharing.SHARE, Sharing.BITS, Sharing.MASKED, Sharing.MASKED_BITS, Sharing.SERVED]


@pytest.mark.usefixtures("leak")
@pytest.mark.parametrize("opens", [None, "masked", "server_masked"])
def test_nothing_but_a_reveal_lowers_secrecy(opens: str | None) -> None:
    for secret in SECRETS:
        for known in (Sharing.PUBLIC, Sharing.PRIVATE0, Sharing.PRIVATE1):
            assert len(leaked([secret], known, opens)) == 1
            assert len(leaked([Sharing.PUBLIC, secret], known, opens)) == 1
            assert leaked([secret], known, "reveal") == []
    p0, p1, public = Sharing.PRIVATE0, Sharing.PRIVATE1, Sharing.PUBLIC
    for operands, result in [
        ([p0], public),
        ([p1], public),
        ([p0], p1),
        ([p1], p0),
        ([p0, p1], p0),
        ([p0, p1], p1),
    ]:
        assert len(leaked(operands, result, opens)) == 1
    for operands, result in [
        ([p0], p0),
        ([p1, public], p1),
        ([public], p0),
        ([p0, p1], Sharing.SHARE),
        ([], public),
    ]:
        assert leaked(operands, result, opens) == []


@pytest.mark.usefixtures("leak")
@pytest.mark.parametrize(
    ("opened", "declaration"),
    [(Sharing.MASKED, "masked"), (Sharing.MASKED_BITS, "masked"), (Sharing.SERVED, "server_masked")],
)
def test_masked_values_come_from_declared_openings(opened: Sharing, declaration: str) -> None:
    for operands in ([Sharing.SHARE], [Sharing.BITS], [Sharing.PRIVATE1], [opened, Sharing.SHARE], []):
        assert leaked(operands, opened, declaration) == []
        for other in {None, "masked", "server_masked", "reveal"} - {declaration}:
            (message,) = leaked(operands, opened, other)
            assert "declares no opening" in message
    assert leaked([opened], opened) == []  # a view
    for other_form in {Sharing.MASKED, Sharing.MASKED_BITS, Sharing.SERVED} - {opened}:
        assert len(leaked([other_form], opened)) == 1


@pytest.mark.usefixtures("leak")
def test_tensor_results_are_no_less_secret_than_the_join_of_operands() -> None:
    for a in Visibility:
        for b in Visibility:
            for result in Visibility:
                values = [Value(v, TensorType(v, "float", ())) for v in (a, b)]
                Leak.result, Leak.opens = TensorType(result, "float", ()), None
                builder = Builder("p", Stage.TENSOR)
                builder.append("leak", values, {}, [Leak.result])
                flows = [p for p in problems(builder.program) if p[0] == "MPC-I025"]
                knows_both = result in (Visibility.SECRET, a.joined(b)) or {a, b} == {Visibility.PUBLIC}
                assert len(flows) == (0 if knows_both else 1), (a, b, result)
