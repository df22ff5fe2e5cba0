"""Several classes of events in one network: a softmax over the background and three classes.

The made-up task: pulses on two noisy channels. Class 1 is short, the first channel and then the second; class 2 is
long and goes the other way round; class 3 is both channels at once. A sequence holds none to three events.
"""

import torch
from torch import nn

from anchorstream.losses import StreamingAnchorLoss

SLOTS, SLOT_FRAMES, LABEL_FRAMES = 3, 50, 8
PULSE_FRAMES = {1: 5, 2: 12, 3: 8}


def make_batch(batch=32):
    x = torch.randn(batch, SLOTS * SLOT_FRAMES, 4)
    targets = torch.zeros(batch, SLOTS * SLOT_FRAMES, dtype=torch.long)
    kinds = torch.randint(0, 4, (batch, SLOTS))  # 0: no event in this part of the sequence
    ends = torch.randint(24, SLOT_FRAMES - LABEL_FRAMES, (batch, SLOTS))
    ends += SLOT_FRAMES * torch.arange(SLOTS)
    for row, slot in kinds.nonzero().tolist():
        kind, end = int(kinds[row, slot]), int(ends[row, slot])
        middle = end + 1 - PULSE_FRAMES[kind]
        early, late = slice(middle - PULSE_FRAMES[kind], middle), slice(middle, end + 1)
        x[row, late if kind > 1 else early, 0] += 2
        x[row, early if kind == 2 else late, 1] += 2
        targets[row, end : end + LABEL_FRAMES] = kind  # "it has just ended"
    return x, targets, torch.where(kinds > 0, ends, -1)  # as many anchors a row as it has events


torch.manual_seed(0)
gru, head = nn.GRU(4, 32, batch_first=True), nn.Linear(32, 4)
optimizer = torch.optim.Adam([*gru.parameters(), *head.parameters()], lr=1e-2)
# One peak and one scale for each class, the background first. An anchor is one of the class that its frame has, so
# the background's are not used here. Where events of several classes may overlap, use multi_label=True: independent
# sigmoid outputs (B, T, 3), with targets of that shape, and no entry for the background.
loss_function = StreamingAnchorLoss(peak=[1.0, 10.0, 5.0, 8.0], scale=[10.0, 6.0, 15.0, 10.0])

for _ in range(200):
    x, targets, anchors = make_batch()
    loss = loss_function(head(gru(x)[0]), targets, anchors)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

x, targets, anchors = make_batch(200)
with torch.no_grad():
    decisions = head(gru(x)[0]).argmax(-1)
counts = torch.zeros(4, 4, dtype=torch.long)  # rows: what was there; columns: what fired first
delays = {1: [], 2: [], 3: []}
for row, ends in enumerate(anchors.tolist()):
    for slot, end in enumerate(ends):
        # Near an event, what fires around its anchor; without one, whatever fires is a false alarm.
        begin = slot * SLOT_FRAMES if end < 0 else end - 5
        window = decisions[row, begin : begin + SLOT_FRAMES if end < 0 else end + LABEL_FRAMES].tolist()
        there = 0 if end < 0 else int(targets[row, end])
        first, fired = next(((begin + n, kind) for n, kind in enumerate(window) if kind), (end, 0))
        counts[there, fired] += 1
        if there and fired == there:
            delays[there].append(first - end)

for kind, found in delays.items():
    events = int(counts[kind].sum())
    delay = sum(found) / max(len(found), 1)
    print(
        f"class {kind}: fired on {len(found) / events:.0%} of {events} events, {delay:+.1f} frames from their anchor"
    )
empty = int(counts[0].sum())
print(f"no event: fired in {counts[0, 1:].sum() / empty:.0%} of {empty} stretches of {SLOT_FRAMES} frames")
print("what was there (none, 1, 2, 3), down, and what fired first (nothing, 1, 2, 3), across:")
print("\n".join(" ".join(f"{count:4d}" for count in row) for row in counts.tolist()))
