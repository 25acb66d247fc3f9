"""Samples that are seen again look anew: small affine changes, tone, noise, blur, all on the device."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from digitscan.recognition.lines import PAPER_AFTER


def _affine(images: Tensor, theta: Tensor) -> Tensor:
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _tone(images: Tensor, device: torch.device) -> Tensor:
    """Another contrast, another gamma, noise and blur, each for some."""
    count = len(images)

    def some(share: float) -> Tensor:
        return (torch.rand((count, 1, 1, 1), device=device) < share).float()

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand((count, 1, 1, 1), device=device)

    soft = functional.avg_pool2d(functional.pad(images, (1, 1, 1, 1)), 3, stride=1)
    images = images + some(0.3) * uniform(-0.35, 0.6) * (soft - images)
    images = (images * (1 + some(0.5) * uniform(-0.25, 0.25))).clamp(0, 1)
    images = images.clamp_min(1e-4) ** (1 + some(0.5) * uniform(-0.35, 0.5))
    images = images + some(0.3) * uniform(0, 0.08) * torch.randn_like(images)
    return images.clamp(0, 1)


def augment_lines(lines: Tensor, device: torch.device) -> Tensor:
    """(N, 32, W) uint8 to (N, 1, 32, W + `PAPER_AFTER`) float, 0 to 1; half of them as they are but for their tone."""
    images = functional.pad(lines.unsqueeze(1).float() / 255, (0, PAPER_AFTER))
    n, _, h, w = images.shape
    on = (torch.rand(n, device=device) < 0.6).float()
    normal = torch.randn((5, n), device=device) * on
    stretch = 1 + (0.05 * normal[0]).clamp(-0.1, 0.1)
    grow = 1 + (0.05 * normal[1]).clamp(-0.08, 0.15)
    shear = 0.05 * normal[2]  # columns a row
    theta = torch.zeros((n, 2, 3), device=device)
    # Output to input, in halves of the image: the left edge stays in place.
    theta[:, 0, 0] = stretch
    theta[:, 0, 1] = shear * h / w
    theta[:, 0, 2] = stretch - 1 + 4 * normal[3].clamp(-1, 0.5) / w
    theta[:, 1, 1] = grow
    theta[:, 1, 2] = 0.03 * normal[4]
    return _tone(_affine(images, theta), device)


def augment_crops(crops: Tensor, device: torch.device) -> Tensor:
    """(N, 28, 28) uint8 to (N, 1, 28, 28) float, 0 to 1; half of them hardly changed."""
    images = crops.unsqueeze(1).float() / 255
    n = len(images)
    on = (torch.rand(n, device=device) < 0.5).float()
    normal = torch.randn((6, n), device=device) * on
    angle = 0.06 * normal[0]
    theta = torch.zeros((n, 2, 3), device=device)
    cos, sin = torch.cos(angle), torch.sin(angle)
    wide, high = 1 + 0.05 * normal[1], 1 + (0.03 * normal[2]).clamp(-0.06, 0.06)
    theta[:, 0, 0], theta[:, 0, 1] = wide * cos, -wide * sin + 0.08 * normal[3]
    theta[:, 1, 0], theta[:, 1, 1] = high * sin, high * cos
    theta[:, 0, 2], theta[:, 1, 2] = 0.03 * normal[4], 0.03 * normal[5]
    images = _affine(images, theta)
    half = (torch.rand((n, 1, 1, 1), device=device) < 0.5).float()
    return half * images + (1 - half) * _tone(images, device)
