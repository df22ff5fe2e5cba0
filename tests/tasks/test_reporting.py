import pytest

from anchorstream.tasks import Reporting


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"false_alarm_rates": ()}, "one or more rates"),
        ({"false_alarm_rates": (5.0, 1.0)}, "ascend"),
        ({"headline_rates": (2.0,)}, r"must be among .* got \[2.0\]"),
        ({"headline_rates": ()}, "must be among"),
        ({"chosen_rate": 3.0}, r"must be among .* got \[3.0\]"),
    ],
)
def test_a_rate_that_is_no_operating_point_is_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Reporting(anchor="the end", **options)
