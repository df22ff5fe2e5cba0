"""Weak labels: of most sequences it is only known that the event ends somewhere in a window of frames.

The loss takes a density over the frames instead of anchors: how likely each of them is the anchor. Here it is the
network's own posterior over the window (the E step), and training on it (the M step) sharpens it. A row whose end
is known is a window of one frame, so one call serves them all.

The made-up task: two channels rise for 12 noisy frames, and elsewhere they fall for as long, which is no event.
"""

import torch
from torch import nn
from torch.nn import functional as F

from anchorstream.losses import StreamingAnchorLoss

NUM_FRAMES, LABEL = 100, 8


def make_sequences(count):
    x = 0.5 * torch.randn(count, NUM_FRAMES, 4)
    rise = torch.linspace(0, 2, 12)[:, None]
    ends = torch.randint(15, 42, (count,))
    falls = torch.randint(50, 85, (count,))
    swapped = torch.rand(count) < 0.5  # the fall comes first
    ends, falls = ends + 50 * swapped, falls - 50 * swapped
    for row, (end, fall) in enumerate(zip(ends.tolist(), falls.tolist(), strict=True)):
        x[row, end - 11 : end + 1, :2] += rise
        x[row, fall : fall + 12, :2] += rise.flip(0)
    return x, ends


def window_around(ends, frames=30):
    """The first and the last frame at which the event may have ended, the true one anywhere between."""
    first = ends - torch.randint(0, frames, ends.shape)
    return first, first + frames - 1


def density_of(score, first, last):
    """The posterior of the end frame: a softmax, over the window, of how well the label fits from there on."""
    frame = torch.arange(NUM_FRAMES)
    inside = (frame >= first[:, None]) & (frame <= last[:, None])
    # The log-odds of the frames that the label would cover. Their sum would take them for independent evidence, but
    # neighbouring frames say nearly the same: the mean counts it once.
    fit = F.pad(score.detach(), (0, LABEL - 1)).unfold(-1, LABEL, 1).mean(-1)
    return fit.masked_fill(~inside, -torch.inf).softmax(-1)


def train(x, first, last, steps=200, warm_up=40):
    torch.manual_seed(1)
    gru, head = nn.GRU(4, 24, batch_first=True), nn.Linear(24, 1)
    optimizer = torch.optim.Adam([*gru.parameters(), *head.parameters()], lr=1e-2)
    loss_function = StreamingAnchorLoss(scale=5.0)
    for step in range(steps):
        rows = torch.randperm(len(x))[:64]
        score = head(gru(x[rows])[0]).squeeze(-1)
        # An untrained network's posterior says nothing: at the start it is uniform.
        density = density_of(score if step >= warm_up else 0 * score, first[rows], last[rows])
        # Frame t is labelled if the event ended at one of the frames t - 7 to t.
        soft_targets = F.pad(density, (LABEL - 1, 0)).unfold(-1, LABEL, 1).sum(-1).clamp(0, 1)
        loss = loss_function(score, soft_targets, density=density)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return lambda x: head(gru(x)[0]).squeeze(-1)


def report(name, network):
    with torch.no_grad():
        fires = network(test_x) > 0
    delay = torch.where(fires.any(1), fires.int().argmax(1) - test_ends, 10**6)
    hits = (delay >= -5) & (delay <= 7)
    mean_delay = delay[hits].float().mean()
    print(
        f"{name}: fired on {hits.float().mean():.0%} of 300 events, {mean_delay:+.1f} frames from their anchor"
    )


torch.manual_seed(0)
(test_x, test_ends), (x, ends) = make_sequences(300), make_sequences(408)
exact = 8
first, last = window_around(ends)
first[:exact] = last[:exact] = ends[:exact]  # the end is known
report(f"{exact} exact rows alone", train(x[:exact], first[:exact], last[:exact]))
report(f"with {len(x) - exact} weak rows", train(x, first, last))
