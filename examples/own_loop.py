"""A training loop of your own: `StreamingAnchorLoss()` in the place of `nn.CrossEntropyLoss()`.

The made-up task: two feature channels rise for 12 noisy frames; the detector must fire where the rise
has ended.
"""

import torch
from torch import nn

from anchorstream.losses import StreamingAnchorLoss


def make_batch(batch=32, num_frames=120):
    x = 0.5 * torch.randn(batch, num_frames, 4)
    targets = torch.zeros(batch, num_frames, dtype=torch.long)
    ends = torch.randint(20, num_frames - 20, (batch,))
    for row, end in enumerate(ends.tolist()):
        x[row, end - 11 : end + 1, :2] += torch.linspace(0, 2, 12)[:, None]
        targets[row, end : end + 8] = 1  # "it has just ended"
    return x, targets, ends[:, None]  # one anchor a row: the frame at which the decision matters


torch.manual_seed(0)
gru, head = nn.GRU(4, 24, batch_first=True), nn.Linear(24, 2)
optimizer = torch.optim.Adam([*gru.parameters(), *head.parameters()], lr=1e-2)
loss_function = StreamingAnchorLoss()  # was: nn.CrossEntropyLoss()

for step in range(151):
    x, targets, anchors = make_batch()
    loss = loss_function(head(gru(x)[0]), targets, anchors)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}: loss {loss.item():.3f}")

x, targets, anchors = make_batch(200)
with torch.no_grad():
    fires = head(gru(x)[0]).argmax(-1) == 1
delay = torch.where(fires.any(1), fires.int().argmax(1) - anchors[:, 0], 10**6)
hits = (delay >= -5) & (delay <= 7)
mean_delay = delay[hits].float().mean()
print(f"fired on {hits.float().mean():.0%} of 200 events, {mean_delay:+.1f} frames from their anchor")
