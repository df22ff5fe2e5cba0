"""How a false-alarm rate reads, wherever one is printed: without any false alarm, what the rate lies below."""

from __future__ import annotations

import math

from anchorstream.metrics.intervals import garwood, rate_below


def rate_text(false_alarms: float, hours: float) -> str:
    """False alarms per hour to two digits, with Garwood's 95% interval.

    Args:
        false_alarms: how many; of several seeds, which all hear the same audio, their mean.
        hours: of audio.

    Example:
        >>> rate_text(10, 1.0), rate_text(0, 0.5), rate_text(0, 0.0)
        ('10 [4.8, 18]', 'below 6', '-')
    """
    if not hours:
        return "-"
    if not false_alarms:
        return f"below {_rounded_up(rate_below(hours))}"
    low, high = garwood(false_alarms, hours)
    return f"{_two_digits(false_alarms / hours)} [{_two_digits(low)}, {_two_digits(high)}]"


def _two_digits(value: float) -> str:
    """Without an exponent, which :g would have from 100 on."""
    return f"{float(f'{value:.2g}'):.10g}"


def _rounded_up(value: float) -> str:
    """To two digits, never below what it is."""
    step = 10.0 ** (math.floor(math.log10(value)) - 1)
    return _two_digits(math.ceil(value / step - 1e-9) * step)
