"""The losses written as loops over rows and frames, straight from the formulas, in Python's own floats."""

import math

KERNELS = {
    "exponential": lambda x: math.exp(-x),
    "gaussian": lambda x: math.exp(-x * x / 2),
    "triangular": lambda x: max(0.0, 1 - x),
    "rectangular": lambda x: 1.0 if x <= 1 else 0.0,
    "power": lambda x: 1 / (1 + x),
}


def distance(frame, anchors):
    """Signed distance to the nearest anchor; of two equally near, to the earlier one."""
    if not anchors:
        return math.inf
    nearest = min(sorted(anchors), key=lambda anchor: abs(frame - anchor))
    return float(frame - nearest)


def weight(frame, anchors, *, peak, floor, scale, scale_after=None, kernel="exponential"):
    d = distance(frame, anchors)
    if scale_after is not None and d > 0:
        scale = scale_after
    return floor + (peak - floor) * KERNELS[kernel](abs(d) / scale)


def offsets(labels):
    """The last frame of every run of one class other than 0."""
    ends = []
    for t, label in enumerate(labels):
        if label != 0 and (t + 1 == len(labels) or labels[t + 1] != label):
            ends.append(t)
    return ends


def runs(labels):
    """The runs of one class other than 0, as lists of frames."""
    found = []
    for t, label in enumerate(labels):
        if label == 0:
            continue
        if found and found[-1][-1] == t - 1 and labels[t - 1] == label:
            found[-1].append(t)
        else:
            found.append([t])
    return found


def probability(logit, label):
    """Of the class ``label``: softmax of a list, sigmoid of a number."""
    if isinstance(logit, list):
        top = max(logit)
        return math.exp(logit[label] - top) / sum(math.exp(value - top) for value in logit)
    return 1 / (1 + math.exp(-logit)) if label == 1 else 1 / (1 + math.exp(logit))


def streaming_anchor(
    logits,
    targets,
    anchors,
    valid,
    *,
    focal=None,
    gamma=2.0,
    focal_weight=1.0,
    class_weight=None,
    ignore_index=-100,
    reduction="mean",
    **weight_options,
):
    """``logits`` and ``anchors`` are lists of rows; ``anchors`` may be None for the offsets."""
    table, total, total_weight, count = [], 0.0, 0.0, 0
    for row in range(len(targets)):
        counted = [valid[row][t] and targets[row][t] != ignore_index for t in range(len(targets[row]))]
        labels = [y if c else 0 for y, c in zip(targets[row], counted, strict=True)]
        row_anchors = offsets(labels) if anchors is None else anchors[row]
        table.append([])
        for t, label in enumerate(labels):
            if not counted[t]:
                table[-1].append(0.0)
                continue
            p = probability(logits[row][t], label)
            w = weight(t, row_anchors, **weight_options)
            alpha = 1.0 if class_weight is None else class_weight[label]
            factor = {
                None: w,
                "add": w + focal_weight * (1 - p) ** gamma,
                "multiply": w * (1 - p) ** gamma,
            }[focal]
            loss = alpha * factor * -math.log(p)
            table[-1].append(loss)
            total, total_weight, count = total + loss, total_weight + alpha * w, count + 1
    return {
        "none": table,
        "sum": total,
        "mean": total / max(count, 1),
        "weighted_mean": total / total_weight if total_weight else 0.0,
    }[reduction]
