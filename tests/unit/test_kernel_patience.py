"""Properties of the pause after a lost race."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from muniment.kernel.patience import pause_s


class Told:
    """Chance that comes out as it is told."""

    def __init__(self, share: bytes) -> None:
        self.share = share

    def token(self, size: int) -> bytes:
        """The bytes that were told."""
        assert size == len(self.share)
        return self.share


@given(share=st.binary(min_size=4, max_size=4), attempt=st.integers(0, 40))
def test_a_pause_stays_below_a_bound_that_doubles(share: bytes, attempt: int) -> None:
    """Whatever chance says, nobody waits longer than 2 ms at first, twice as long each time, and never over 100 ms."""
    assert 0 <= pause_s(Told(share), attempt) < min(0.1, 0.002 * 2**attempt)


@given(one=st.binary(min_size=4, max_size=4), other=st.binary(min_size=4, max_size=4))
def test_who_met_once_is_spread(one: bytes, other: bytes) -> None:
    """Different chance is a different pause, in the order of the chance."""
    assert (pause_s(Told(one), 3) < pause_s(Told(other), 3)) == (one < other)
