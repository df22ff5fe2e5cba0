import subprocess
import sys

import pytest
import torch

from anchorstream.losses import StreamingAnchorLoss, plot_weight


def lines(axes):
    return {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in axes.get_lines()}


def test_around_one_anchor():
    axes = plot_weight(StreamingAnchorLoss(peak=5.0, scale=2.0, kernel="triangular"), label="triangle")
    times, weights = lines(axes)["triangle"]
    assert times == list(range(-8, 9))
    assert weights == [1.0] * 7 + [3.0, 5.0, 3.0] + [1.0] * 7
    assert axes.get_xlabel() == "frames from the anchor"


def test_scales_in_seconds_give_an_axis_in_seconds():
    axes = plot_weight(StreamingAnchorLoss(scale=0.1, scale_after=0.2, frame_rate_hz=50.0))
    times, weights = next(iter(lines(axes).values()))
    assert times[0] == pytest.approx(-0.8)
    assert max(weights) == weights[len(weights) // 2] == 10.0
    assert axes.get_xlabel() == "seconds from the anchor"


def test_a_row_of_a_batch_with_its_events():
    targets = torch.tensor([[0, 0, 0, 0], [0, 1, 1, 0]])
    loss = StreamingAnchorLoss(peak=[2.0, 6.0], scale=1.0, kernel="triangular")
    axes = plot_weight(loss, targets, row=1)
    assert next(iter(lines(axes).values()))[1] == [1.0, 1.0, 6.0, 1.0]
    (shade,) = axes.patches
    assert (shade.get_x(), shade.get_x() + shade.get_width()) == (0.5, 2.5)
    assert plot_weight(loss, targets, torch.tensor([[0], [0]]), row=1).get_lines()[0].get_ydata()[0] == 2.0


def test_anchors_of_a_class_that_the_batch_lacks():
    targets = torch.tensor([[0, 1, 1, 0]])
    mask = torch.zeros(1, 4, 3, dtype=torch.bool)
    mask[0, 3, 2] = True
    loss = StreamingAnchorLoss(peak=6.0, scale=1.0, kernel="triangular")
    for given in ({"anchors": mask}, {"density": mask.float()}):
        assert next(iter(lines(plot_weight(loss, targets, **given)).values()))[1] == [1.0, 1.0, 1.0, 6.0]


def test_every_output_has_a_line():
    targets = torch.zeros(1, 5, 2, dtype=torch.long)
    targets[0, 3, 1] = 1
    axes = plot_weight(StreamingAnchorLoss(multi_label=True, scale=1.0, kernel="rectangular"), targets)
    found = lines(axes)
    assert found["output 0"][1] == [1.0] * 5
    assert found["output 1"][1] == [1.0, 1.0, 10.0, 10.0, 10.0]
    assert len(axes.patches) == 1


def test_drawn_into_axes_that_are_given():
    axes = plot_weight(StreamingAnchorLoss(), label="one")
    assert plot_weight(StreamingAnchorLoss(kernel="gaussian"), label="two", axes=axes) is axes
    assert set(lines(axes)) == {"one", "two"}


def test_classes_that_differ_need_targets():
    with pytest.raises(ValueError, match="give targets"):
        plot_weight(StreamingAnchorLoss(peak=[2.0, 3.0]))


def test_without_matplotlib_the_message_says_how_to_get_it():
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from anchorstream.losses import StreamingAnchorLoss, plot_weight\n"
        "try: plot_weight(StreamingAnchorLoss())\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'anchorstream[plot]'" in done.stdout
