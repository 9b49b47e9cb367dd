"""Programs for the tests of ir/: hand-written texts of each stage, random tensor programs, and equality."""

from __future__ import annotations

import math

from hypothesis import strategies as st

from mpcc.ir.diagnostics import MpccErrors
from mpcc.ir.printer import print_attributes, print_type
from mpcc.ir.program import Attribute, Attributes, Builder, Operation, Program, Stage, Value
from mpcc.ir.types import Range, TensorType, Visibility
from mpcc.ir.verifier import verify

TENSOR = """\
program "bert" tensor {
  %ids = input {name = "ids", visibility = "party1", dtype = "int", shape = [1, 8]} \
: tensor<party1, int, 1x8>
  %t = constant {name = "t", visibility = "party0", dtype = "float", shape = [30, 4]} \
: tensor<party0, float, 30x4>
  %w = constant {name = "w", visibility = "party0", dtype = "float", shape = [4, 4]} \
: tensor<party0, float, 4x4>
  %0 = embedding %ids, %t : tensor<secret, float, 1x8x4, [-1.5, 2.25]> from ["/emb/Gather"]
  %1 = linear %0, %w : tensor<secret, float, 1x8x4> from ["/q/MatMul", "/q/Add \\"bias\\""]
  %2 = layer_norm %1 {epsilon = 1e-12} : tensor<secret, float, 1x8x4>
  %3 = reduce_mean %2 {axes = [0, 1, 2], keepdims = false} : tensor<secret, float, scalar>
  %4 = slice %2 {starts = [0, 0, 0], stops = [1, 0, 4], steps = [1, 1, 1]} : tensor<secret, float, 1x0x4>
  output "mean" = %3
  output "\\u03c3 none" = %4
}
"""

SHARE = """\
program "p" share {reveals = ["y=party1", "ok=public"]} {
  %x = client_input {name = "x", fraction = 12, scale = 0.5} : private1<64, 12, 2x4, [-1.0, 1.0]>
  %w = weight {name = "w", fraction = 14, shape = [4, 3]} : private0<64, 14, 4x3>
  %s = serve %x {bits = 52} : served<52, 12, 2x4> from ["MatMul_0"]
  %y = linear %s, %w : share<52, 26, 2x3> from ["MatMul_0"]
  %z = truncate %y {bits = 14} : share<50, 12, 2x3>
  %mz = open_masked %z {bits = 24} : masked<24, 12, 2x3, [-8.0, 8.0]>
  %b = less_than %mz {bits = 20, width = 4, thresholds = [-4096, 0]} : bits<1, 0, 2x2x3>
  %mb = open_bits %b : masked_bits<1, 0, 2x2x3>
  %v = transpose %mz {permutation = [1, 0]} : masked<24, 12, 3x2>
  %p = product %mz, %mb {factors = ["value", "bits"], coefficients = [[], [0, 1, 1]], fractions = [12, 0]} \
: share<40, 12, 2x3>
  %m = matmul %mz, %v : share<24, 24, 2x2>
  %r = reveal %p {name = "y", to = "party1"} : private1<64, 12, 2x3>
  %o = reveal %m {name = "ok", to = "public"} : public<64, 24, 2x2>
  output "y" = %r
  output "ok" = %o
}
""".replace("scale = 0.5}", "scale = 0.5, shape = [2, 4]}")

PARTY = """\
program "p" party {party = 1, reveals = ["y=party1"]} {
  %x = client_input {name = "x", fraction = 12, shape = [1, 32]} : private1<64, 12, 1x32>
  %m = start.open_masked %x {bits = 20} : pending<open_masked>
  exchange {index = 0, send = 120, receive = 96}
  %a = finish %m : masked<20, 12, 1x32>
  %b = start.less_than %a {bits = 20, width = 4, thresholds = [0]} : pending<less_than>
  exchange {index = 1, send = 20, receive = 20}
  %c = finish %b : bits<1, 0, 1x1x32>
  %0 = start.open_bits %c : pending<open_bits>
  exchange {index = 2, send = 4, receive = 4}
  %mb = finish %0 : masked_bits<1, 0, 1x1x32>
  %y = product %mb {factors = ["bits"], coefficients = [[0, 1]], fractions = [0]} : share<8, 0, 1x32>
  %1 = start.reveal %y {name = "y", to = "party1"} : pending<reveal>
  exchange {index = 3, send = 0, receive = 32}
  %2 = finish %1 : private1<64, 0, 1x32>
  output "y" = %2
}
"""

STAGES = {"tensor": TENSOR, "share": SHARE, "party": PARTY}


def programs_equal(a: Program, b: Program) -> bool:
    """Same name, stage, attributes, operations and outputs, values compared by name and type; no constants.

    Attributes are compared as text, which tells 1 from 1.0 and True, and 0.0 from -0.0.
    """
    return _key(a) == _key(b)


def problems(program: Program) -> list[tuple[str, str, str]]:
    """Code, place and message of everything the verifier finds."""
    try:
        verify(program)
    except MpccErrors as errors:
        return [(e.code, e.where or "", e.message) for e in errors.errors]
    return []


def _key(program: Program) -> object:
    def value(v: Value) -> object:
        return v.name, v.type, print_type(v.type)

    def operation(o: Operation) -> object:
        operands, results = [value(v) for v in o.operands], [value(v) for v in o.results]
        return o.kind, operands, results, print_attributes(o.attributes), o.onnx_nodes

    operations = [operation(o) for o in program.operations]
    outputs = [(name, value(v)) for name, v in program.outputs.items()]
    return program.name, program.stage, print_attributes(program.attributes), operations, outputs


texts = st.text(st.characters(codec="utf-8"), max_size=8)
scalars = st.one_of(st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(), texts)
attributes: st.SearchStrategy[Attribute] = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=8
)
names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.]{0,6}", fullmatch=True)
shapes = st.lists(st.integers(0, 4), max_size=3).map(tuple)
finite = st.floats(allow_nan=False, allow_infinity=False)
ranges = st.none() | st.tuples(finite, finite).map(lambda ends: Range(min(ends), max(ends)))


@st.composite
def tensor_programs(draw: st.DrawFn) -> Program:
    """Valid tensor-stage programs built by Builder, with any names, ranges and program attributes."""
    builder = Builder(draw(texts), Stage.TENSOR)
    builder.program.attributes.update(draw(st.dictionaries(names, attributes, max_size=3)))
    values = [_source(draw, builder) for _ in range(draw(st.integers(1, 3)))]
    for _ in range(draw(st.integers(0, 8))):
        values.append(_random_operation(draw, builder, values))
    for name in draw(st.lists(texts, max_size=2, unique=True)):
        builder.program.outputs[name] = draw(st.sampled_from(values))
    return builder.program


def _source(draw: st.DrawFn, builder: Builder) -> Value:
    visibility, shape, name = draw(st.sampled_from(Visibility)), draw(shapes), draw(texts)
    kind = draw(st.sampled_from(["input", "constant"]))
    source: Attributes = {"name": name, "visibility": str(visibility), "dtype": "float", "shape": shape}
    hint = draw(st.none() | st.from_regex(r"[A-Za-z0-9_.]{1,5}", fullmatch=True))
    stated = TensorType(visibility, "float", shape, draw(ranges))
    return builder.append(kind, [], source, [stated], draw(st.lists(texts, max_size=2)), [hint]).result


def _random_operation(draw: st.DrawFn, builder: Builder, values: list[Value]) -> Value:
    x = draw(st.sampled_from(values))
    assert isinstance(x.type, TensorType)
    rank = len(x.type.shape)
    kind = draw(
        st.sampled_from(["add", "gelu", "relu", "transpose", "reduce_sum", "concat", "reshape", "layer_norm"])
    )
    if kind == "add":
        same = [v for v in values if isinstance(v.type, TensorType) and v.type.shape == x.type.shape]
        return builder.emit(
            "add", x, draw(st.sampled_from(same)), onnx_nodes=draw(st.lists(texts, max_size=2))
        )
    if kind == "gelu":
        return builder.emit("gelu", x, approximate=draw(st.sampled_from(["none", "tanh"])))
    if kind == "transpose":
        return builder.emit("transpose", x, permutation=tuple(draw(st.permutations(range(rank)))))
    if kind == "reduce_sum":
        axes = tuple(sorted(draw(st.sets(st.integers(0, rank - 1))))) if rank else ()
        return builder.emit("reduce_sum", x, axes=axes, keepdims=draw(st.booleans()))
    if kind == "concat" and rank:
        return builder.emit("concat", x, x, x, axis=draw(st.integers(0, rank - 1)))
    if kind == "reshape":
        return builder.emit("reshape", x, shape=(math.prod(x.type.shape), 1))
    if kind == "layer_norm" and rank:
        return builder.emit("layer_norm", x, epsilon=draw(finite))
    return builder.emit("relu", x)
