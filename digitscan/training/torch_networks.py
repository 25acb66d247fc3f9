"""`linenet-3` and `digitnet-2` in plain PyTorch, weight for weight those of `digitscan.recognition.architectures`.

Keras drives a GPU too, but trains these small networks several times slower than a plain loop does. Weights go over in
the order that Keras keeps them; `tests/test_torch.py` holds both to the same answers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from digitscan.core.types import CLASS_COUNT
from digitscan.recognition.architectures import DIGITNET_2, LINENET_3, DigitWidths, LineWidths
from digitscan.recognition.lines import LINE_CLASS_COUNT


class Block(nn.Module):
    """Convolution with Keras' "same" padding, batch normalization, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: tuple[int, int], stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride=stride, dilation=(1, dilation), bias=False)
        self.norm = nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.05)
        pads = []
        for size, spread in ((kernel[1], dilation), (kernel[0], 1)):
            total = max((size - 1) * spread + 1 - stride, 0)
            pads += [total // 2, total - total // 2]
        self.pads = tuple(pads)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C', H / stride, W / stride)."""
        return functional.relu(self.norm(self.conv(functional.pad(x, self.pads))))


class LineNet(nn.Module):
    """(N, 1, 32, W) ink, 0 to 1, to (W / 4, N, 20) logits."""

    def __init__(self, w: LineWidths = LINENET_3) -> None:
        super().__init__()
        self.stem = Block(1, w.stem, (5, 5), stride=2)
        self.halve = Block(w.stem, w.low, (3, 3), stride=2)
        self.low = nn.ModuleList([Block(w.low, w.middle, (3, 3)), Block(w.middle, w.middle, (3, 3))])
        self.high = nn.ModuleList([Block(w.middle, w.high, (3, 3)), Block(w.high, w.high, (3, 3))])
        self.column = Block(w.high, w.column, (2, 1))
        self.column.pads = (0, 0, 0, 0)
        self.along = nn.ModuleList([Block(w.column, w.column, (1, 3), dilation=d) for d in w.dilations])
        self.drop = nn.Dropout(0.1)
        self.logits = nn.Linear(w.column, LINE_CLASS_COUNT)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        x = self.halve(self.stem(x))
        x = self.low[0](x)
        x = functional.max_pool2d(x + self.low[1](x), (2, 1))
        x = self.high[0](x)
        x = functional.max_pool2d(x + self.high[1](x), (2, 1))
        x = self.column(x)
        for block in self.along:
            x = x + block(x)
        return self.logits(self.drop(x.squeeze(2).permute(2, 0, 1)))


class DigitNet(nn.Module):
    """(N, 1, 28, 28) ink, 0 to 1, to (N, 11) logits."""

    def __init__(self, w: DigitWidths = DIGITNET_2) -> None:
        super().__init__()
        self.stem = Block(1, w.stem, (5, 5), stride=2)
        self.low = nn.ModuleList([Block(w.stem, w.low, (3, 3)), Block(w.low, w.low, (3, 3))])
        self.middle = nn.ModuleList([Block(w.low, w.middle, (3, 3)), Block(w.middle, w.middle, (3, 3))])
        self.high = Block(w.middle, w.high, (3, 3))
        self.drop = nn.Dropout(0.4)
        self.hidden = nn.Linear(9 * w.high, w.hidden)
        self.posteriors = nn.Linear(w.hidden, CLASS_COUNT)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        x = self.low[0](self.stem(x))
        x = functional.max_pool2d(x + self.low[1](x), 2)
        x = self.middle[0](x)
        x = functional.max_pool2d(x + self.middle[1](x), 2)
        x = self.high(x)
        x = self.drop(x.permute(0, 2, 3, 1).flatten(1))  # as Keras flattens: row, column, channel
        return self.posteriors(functional.relu(self.hidden(x)))


LINE_TEACHER = LineWidths(40, 96, 128, 224, 384, (1, 2, 1))
DIGIT_TEACHER = DigitWidths(48, 96, 192, 384, 256)
"""Wide networks that learn beside the small ones, and whose answers those learn from too; they are not kept."""

NETWORKS: dict[str, type[nn.Module]] = {"linenet-3": LineNet, "digitnet-2": DigitNet}


def keras_weights(network: nn.Module) -> list[NDArray[np.float32]]:
    """Weights in the order and the shapes of Keras' `get_weights`."""
    out: list[NDArray[np.float32]] = []

    def take(value: Any) -> None:
        out.append(np.ascontiguousarray(value.detach().float().cpu().numpy()))

    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            kernel = module.weight.permute(2, 3, 1, 0)  # rows, columns, inputs, outputs
            take(kernel[0] if kernel.shape[0] == 1 else kernel)  # along the line alone: one dimension
        elif isinstance(module, nn.BatchNorm2d):
            for value in (module.weight, module.bias, module.running_mean, module.running_var):
                take(value)
        elif isinstance(module, nn.Linear):
            take(module.weight.T)
            take(module.bias)
    return out
