"""Windows of the tiny GPT example."""

from examples.tiny_gpt.windows import CONTEXT, VOCABULARY, calibration_windows, window


def test_short_text_is_padded_behind() -> None:
    tokens, last = window([5, 6, 7])
    assert tokens.tolist() == [[5, 6, 7] + [0] * (CONTEXT - 3)]
    assert last == 2


def test_long_text_keeps_its_end() -> None:
    tokens, last = window(list(range(40)))
    assert tokens.tolist() == [list(range(40 - CONTEXT, 40))]
    assert last == CONTEXT - 1


def test_calibration_windows_differ_in_length_and_content() -> None:
    windows = calibration_windows(24)
    assert all(
        tokens.shape == (1, CONTEXT) and 0 <= tokens.min() <= tokens.max() < VOCABULARY for tokens in windows
    )
    assert len({tokens.tobytes() for tokens in windows}) == 24
    assert len({int((tokens > 0).sum()) for tokens in windows}) > 8
