"""Masks of SpecAugment: within their widths, anywhere, and refused where they could hide everything."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anchorstream.features.spec_augment import draw_masks


def runs(mask):
    """Lengths of the stretches of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(int), [0]])))
    return (edges[1::2] - edges[::2]).tolist()


@settings(max_examples=100, deadline=None)
@given(
    freq_masks=st.integers(0, 4),
    freq_mask_width=st.integers(1, 39),
    time_masks=st.integers(0, 4),
    time_mask_width=st.integers(1, 99),
    seed=st.integers(0, 10_000),
)
def test_masks_keep_to_their_number_and_width(freq_masks, freq_mask_width, time_masks, time_mask_width, seed):
    masks = draw_masks(
        100,
        40,
        np.random.default_rng(seed),
        freq_masks=freq_masks,
        freq_mask_width=freq_mask_width,
        time_masks=time_masks,
        time_mask_width=time_mask_width,
    )
    assert masks.frames.shape == (100,)
    assert masks.bands.shape == (40,)
    for mask, count, width in (
        (masks.frames, time_masks, time_mask_width),
        (masks.bands, freq_masks, freq_mask_width),
    ):
        assert len(runs(mask)) <= count
        assert mask.sum() <= count * width
        if count == 1:
            assert max(runs(mask), default=0) <= width


def test_widths_and_places_are_uniform():
    rng = np.random.default_rng(0)
    drawn = [
        draw_masks(100, 40, rng, freq_masks=1, freq_mask_width=3, time_masks=1, time_mask_width=4)
        for _ in range(4000)
    ]
    widths = np.bincount([masks.bands.sum() for masks in drawn], minlength=4)
    np.testing.assert_allclose(widths / 4000, 0.25, atol=0.03)
    assert all(any(masks.frames[frame] for masks in drawn) for frame in range(100))
    assert all(any(masks.bands[band] for masks in drawn) for band in range(40))


def test_a_mask_that_could_hide_everything_is_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(
        ValueError, match="freq_mask_width must be less than the 40 bands of a stream, got 40"
    ):
        draw_masks(100, 40, rng, freq_masks=1, freq_mask_width=40, time_masks=0, time_mask_width=200)
    with pytest.raises(ValueError, match="time_mask_width must be less than the 100 frames"):
        draw_masks(100, 40, rng, freq_masks=0, freq_mask_width=80, time_masks=1, time_mask_width=200)
