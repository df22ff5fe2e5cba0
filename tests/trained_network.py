"""A detector as training leaves it, without a training: what exports are tried on."""

import torch

from anchorstream.models.detector import StreamingDetector


def trained(model, options=None, motion=()):
    """As after training: statistics, and weights that use the whole range of posteriors."""
    torch.manual_seed(1)
    detector = StreamingDetector.build(model, labels=["yes", "no"], options=options, motion=motion)
    sensor = torch.randn(1, 100, len(motion)) if motion else None
    detector.fit_normalisation(detector.features(0.1 * torch.randn(1, 16_000), sensor))
    with torch.no_grad():
        detector.network.head.weight.normal_(std=2.4 / detector.network.head.in_features**0.5)
        for module in detector.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(std=0.1)
                module.running_var.uniform_(0.5, 2.0)
    return detector.eval()
