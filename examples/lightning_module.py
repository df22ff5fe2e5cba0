"""The loss in a LightningModule, its peak moved by a schedule while the network is trained.

The made-up task: two feature channels rise for 12 noisy frames; the detector must fire where the rise has ended.
"""

import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from anchorstream.losses import LossSchedule, StreamingAnchorLoss, linear


def make_sequences(count, num_frames=120):
    x = 0.5 * torch.randn(count, num_frames, 4)
    targets = torch.zeros(count, num_frames, dtype=torch.long)
    ends = torch.randint(20, num_frames - 20, (count,))
    for row, end in enumerate(ends.tolist()):
        x[row, end - 11 : end + 1, :2] += torch.linspace(0, 2, 12)[:, None]
        targets[row, end : end + 8] = 1  # "it has just ended"
    return x, targets, ends[:, None]  # one anchor a row: the frame at which the decision matters


class Detector(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.gru, self.head = nn.GRU(4, 24, batch_first=True), nn.Linear(24, 2)
        self.loss = StreamingAnchorLoss()  # a submodule: its options go into the checkpoints

    def forward(self, x):
        return self.head(self.gru(x)[0])

    def training_step(self, batch, batch_idx):
        x, targets, anchors = batch
        return self.loss(self(x), targets, anchors)

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=1e-2)


class MoveLoss(pl.Callback):
    def __init__(self, schedule):
        self.schedule = schedule

    def on_train_batch_start(self, trainer, *_):
        self.schedule.set(trainer.global_step)


pl.seed_everything(0, verbose=False)
model = Detector()
# First every frame counts the same, which finds the events; then the frames around their ends count most.
schedule = LossSchedule(model.loss, peak=linear(1.0, 10.0, steps=80))
trainer = pl.Trainer(
    max_epochs=5,
    accelerator="cpu",
    callbacks=[MoveLoss(schedule)],
    logger=False,
    enable_checkpointing=False,
    enable_progress_bar=False,
    enable_model_summary=False,
)
print(f"peak {model.loss.peak:g} at the start")
trainer.fit(model, DataLoader(TensorDataset(*make_sequences(960)), batch_size=32, shuffle=True))
print(f"peak {model.loss.peak:g} after {trainer.global_step} steps")

x, targets, anchors = make_sequences(200)
model.eval()
with torch.no_grad():
    fires = model(x).argmax(-1) == 1
delay = torch.where(fires.any(1), fires.int().argmax(1) - anchors[:, 0], 10**6)
hits = (delay >= -5) & (delay <= 7)
mean_delay = delay[hits].float().mean()
print(f"fired on {hits.float().mean():.0%} of 200 events, {mean_delay:+.1f} frames from their anchor")
