import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorstream.frames import FrameClock


def test_a_causal_frame_is_known_one_hop_after_it_began() -> None:
    clock = FrameClock(0.01)
    assert clock.time_of(0) == 0.01
    assert clock.frame_at(0.0) == clock.frame_at(0.01) == 0
    assert clock.frame_at(0.0101) == 1


@given(st.integers(0, 10**9), st.sampled_from([0.01, 0.03, 0.016, 0.08]), st.sampled_from([None, 0.0, 0.025]))
def test_the_frame_at_a_frames_time_is_that_frame(frame: int, hop_s: float, delay_s: float | None) -> None:
    clock = FrameClock(hop_s, delay_s)
    assert clock.frame_at(clock.time_of(frame)) == frame


@pytest.mark.parametrize(
    ("hop_s", "delay_s"), [(0.0, None), (-1.0, None), (float("nan"), None), (0.01, -0.1)]
)
def test_impossible_clocks_are_refused(hop_s: float, delay_s: float | None) -> None:
    with pytest.raises(ValueError):
        FrameClock(hop_s, delay_s)
