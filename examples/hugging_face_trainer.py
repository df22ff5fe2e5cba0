"""The loss in the Trainer of Hugging Face transformers: sequences of different lengths, gradients accumulated.

The made-up task: two feature channels rise for 12 noisy frames; the detector must fire where the rise has ended.
"""

import tempfile

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from transformers import PrinterCallback, Trainer, TrainingArguments, set_seed

from anchorstream.losses import StreamingAnchorLoss


def make_sequence():
    num_frames = int(torch.randint(50, 200, ()))
    x, labels = 0.5 * torch.randn(num_frames, 4), torch.zeros(num_frames, dtype=torch.long)
    end = int(torch.randint(20, num_frames - 20, ()))
    x[end - 11 : end + 1, :2] += torch.linspace(0, 2, 12)[:, None]
    labels[end : end + 8] = 1  # "it has just ended"
    return {"features": x, "labels": labels}


def collate(sequences):
    """Pads with labels of -100, which both the loss and the Trainer's count of items leave out."""
    x, labels = ([sequence[name] for sequence in sequences] for name in ("features", "labels"))
    return {
        "features": pad_sequence(x, batch_first=True),
        "labels": pad_sequence(labels, batch_first=True, padding_value=-100),
    }


class Detector(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru, self.head = nn.GRU(4, 24, batch_first=True), nn.Linear(24, 2)

    def forward(self, features):
        return {"logits": self.head(self.gru(features)[0])}


# The Trainer hands over the labels alone: the rule finds the anchor where the label begins, the frame of the end.
loss_function = StreamingAnchorLoss(anchors="onset", reduction="sum")


def compute_loss(outputs, labels, num_items_in_batch=None):
    # The Trainer counts the labels other than -100 of all batches whose gradients it accumulates, and divides by
    # nothing itself: with this, every frame counts the same, however uneven the batches. Without a count, it is the
    # mean over the batch.
    if num_items_in_batch is None:
        num_items_in_batch = (labels != -100).sum()
    return loss_function(outputs["logits"], labels) / num_items_in_batch


def train(batch, accumulate):
    set_seed(1)  # the same first weights and order of sequences each time
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=batch,
            gradient_accumulation_steps=accumulate,
            num_train_epochs=5,
            learning_rate=1e-2,
            label_names=["labels"],  # forward takes none, so the Trainer cannot find the name itself
            use_cpu=True,
            report_to=[],
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
        )
        trainer = Trainer(
            Detector(),
            arguments,
            data_collator=collate,
            train_dataset=sequences,
            compute_loss_func=compute_loss,
        )
        trainer.remove_callback(PrinterCallback)  # the lines below say enough
        return trainer.train().training_loss, trainer.predict(test_sequences)


set_seed(0)
sequences, test_sequences = ([make_sequence() for _ in range(count)] for count in (640, 200))
for batch, accumulate in ((32, 1), (8, 4)):
    training_loss, predicted = train(batch, accumulate)
    logits, labels = torch.tensor(predicted.predictions), torch.tensor(predicted.label_ids)
    fires = logits.argmax(-1) == 1  # padding is -100 for both classes: never 1
    delay = torch.where(fires.any(1), fires.int().argmax(1) - (labels == 1).int().argmax(1), 10**6)
    hits = (delay >= -5) & (delay <= 7)
    mean_delay = delay[hits].float().mean()
    print(
        f"{accumulate} x {batch} sequences a step: training loss {training_loss:.4f}, "
        f"test loss {predicted.metrics['test_loss']:.4f}"
    )
    print(f"fired on {hits.float().mean():.0%} of 200 events, {mean_delay:+.1f} frames from their anchor")
