"""The tiers: `make smoke` runs what is not marked slow, `make test` everything."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy is imported: the workers fill the cores

HERE = Path(__file__).parent
SLOW = {
    "backend/test_node_tests.py",
    "backend/test_onnx_backend.py",
    "compiler/choose/test_choose.py",
    "compiler/choose/test_experts.py",
    "compiler/test_audit.py",
    "compiler/test_cli_check_ranges.py",
    "compiler/test_cli_compile.py",
    "compiler/test_cli_run.py",
    "compiler/test_cli_screen.py",
    "compiler/test_experts.py",
    "compiler/test_inspect.py",
    "compiler/test_inspect_difference.py",
    "compiler/test_inspect_fixtures.py",
    "compiler/test_inspect_nodes.py",
    "compiler/test_mixtures.py",
    "compiler/test_profile.py",
    "compiler/test_simulate.py",
    "compiler/test_verify.py",
    "docs/test_extending.py",
    "docs/test_inspect.py",
    "examples/test_digits_moe_example.py",
    "faults/test_cells.py",
    "faults/test_connections.py",
    "faults/test_full_disk.py",
    "faults/test_hostile.py",
    "faults/test_kills.py",
    "faults/test_quick.py",
    "fuzz/test_fuzz.py",
    "passes/experts/test_lower_experts.py",
    "passes/test_candidates.py",
    "passes/test_catalogue.py",
    "passes/test_elementwise.py",
    "passes/test_inverse_powers.py",
    "passes/test_lower_corners.py",
    "passes/test_minimax.py",
    "passes/test_random_programs.py",
    "passes/test_range_edges.py",
    "passes/test_series.py",
    "passes/test_softmax_forms.py",
    "report/test_browser.py",
    "report/test_data.py",
    "report/test_page.py",
    "runtime/dealing/test_streaming.py",
    "runtime/protocols/test_conformance.py",
    "runtime/serving/test_no_secrets.py",
    "runtime/serving/test_serve.py",
    "runtime/serving/test_serve_two_party.py",
    "runtime/serving/test_session_memory.py",
    "runtime/store/test_crashes.py",
    "runtime/store/test_damage.py",
    "runtime/store/test_index_flips.py",
    "runtime/test_bad_input.py",
    "runtime/test_bad_input_compiled.py",
    "runtime/test_certificates.py",
    "runtime/test_client.py",
    "runtime/test_hostile_callers.py",
    "runtime/test_hostile_listeners.py",
    "runtime/test_local_run.py",
    "runtime/test_memory.py",
    "runtime/test_party.py",
    "runtime/test_tls_channel.py",
    "runtime/two_party/engine/test_cost.py",
    "runtime/two_party/test_generation.py",
    "runtime/two_party/test_making_functions.py",
    "runtime/two_party/test_making_products.py",
    "runtime/two_party/ot/test_silent_security.py",
    "security/experts/test_client_view.py",
    "security/experts/test_indices.py",
    "security/experts/test_openings.py",
    "security/experts/test_traces.py",
    "security/test_presets_view.py",
    "security/test_weights_stay_with_party0.py",
    "security/two_party/test_messages.py",
    "security/two_party/test_replies.py",
    "security/two_party/test_streams.py",
    "security/views/test_likeness.py",
    "security/views/test_programs.py",
    "security/views/test_transport.py",
    "test_benchmarks.py",
    "test_experts_scaling.py",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    assert all((HERE / name).is_file() for name in SLOW)
    for item in items:
        if item.path.relative_to(HERE).as_posix() in SLOW:
            item.add_marker(pytest.mark.slow)
