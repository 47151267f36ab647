"""How the energy of a narrow band of spatial frequencies falls with defocus, and the fit of that law to measured curves.

A defocused point is a uniform disc of diameter d; its transfer function at the frequency f is 2 J1(x) / x with x = pi f d [1]. So the
energy of texture in a narrow band round f follows A (2 J1(x) / x)^2, whatever the texture is: the width of the curve over the position
z gives the growth of the disc, d = growth |z - z0|, in pixels. Over a band of finite width the law is its mean over the band.

References
----------
[1] H. H. Hopkins, "The frequency response of a defocused optical system", Proc. R. Soc. A 231, 1955 (geometrical limit).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

# Width of a band (standard deviation of its amplitude over log2 f), and how the energy of natural texture falls with f.
BANDWIDTH_OCTAVES = 0.35
TEXTURE_SLOPE = 3.0
# Argument x at which the energy of a single frequency is half.
HALF_ENERGY_X = 1.6163
_LARGEST_U = 80.0
_ITERATIONS = 12


@dataclass(frozen=True, slots=True)
class DefocusFit:
    """The law fitted to the curve of every block; arrays of shape (blocks,), float64.

    Attributes
    ----------
    height : ndarray
        Energy in focus.
    centre : ndarray
        Position in focus, in the unit of the positions.
    growth : ndarray
        Growth of the blur circle's diameter per unit of position, in the pixels the frequency counts in.
    explained : ndarray
        Share of the curve's variance that the fit stands for, at most 1.
    half_width : ndarray
        Distance from the centre at which the energy is half, same unit as the positions.
    """

    height: F64
    centre: F64
    growth: F64
    explained: F64
    half_width: F64


@cache
def _law() -> tuple[F64, F64, F64]:
    """(u, energy, its derivative) with u = x^2 of the band's middle."""
    u = np.linspace(0.0, _LARGEST_U, 8001)
    x = np.sqrt(u)
    angle = np.linspace(0.0, np.pi, 721)
    integrand = np.cos(angle[None, :] - x[:, None] * np.sin(angle)[None, :])
    bessel = (integrand[:, :-1] + integrand[:, 1:]).sum(axis=1) * (angle[1] / 2.0) / np.pi
    single = np.ones_like(u)
    single[1:] = (2.0 * bessel[1:] / x[1:]) ** 2
    octave = np.linspace(-3 * BANDWIDTH_OCTAVES, 3 * BANDWIDTH_OCTAVES, 61)
    factor = 2.0**octave
    weight = np.exp(-((octave / BANDWIDTH_OCTAVES) ** 2)) * factor ** (2.0 - TEXTURE_SLOPE)
    weight /= weight.sum()
    mean = sum(w * np.interp(u * f * f, u, single) for w, f in zip(weight, factor, strict=True))
    energy = np.asarray(mean, np.float64)
    return u, energy, np.gradient(energy, u)


def energy_of(x_squared: F64) -> F64:
    """Share of the energy left at x^2 = (pi f d)^2, f the band's middle: 1 in focus."""
    u, energy, _ = _law()
    return np.asarray(np.interp(x_squared, u, energy), np.float64)


def fit_defocus(positions: NDArray[np.floating], energy: NDArray[np.floating], frequency: float) -> DefocusFit:
    """Fit height, centre and growth to the curve of every block (Levenberg-Marquardt, all blocks at once).

    Parameters
    ----------
    positions : ndarray, shape (frames,), float64
        Growing.
    energy : ndarray, shape (frames, blocks)
        Energy in the band, noise taken off.
    frequency : float
        The band's middle, cycles per pixel.
    """
    z = np.asarray(positions, np.float64)
    measured = np.asarray(energy, np.float64)
    blocks = measured.shape[1]
    middle, scale = float(z.mean()), float(max(z[-1] - z[0], 1e-9)) / 2.0
    t = (z - middle) / scale
    peak = measured.argmax(axis=0)
    height = np.maximum(measured[peak, np.arange(blocks)], 1e-30)
    centre = t[peak].copy()
    spacing = np.gradient(t) if len(t) > 1 else np.ones(1)
    above = ((measured > 0.5 * height) * spacing[:, None]).sum(axis=0)
    sharpness = (2 * HALF_ENERGY_X / np.maximum(above, spacing.min())) ** 2

    def residual(a: F64, c: F64, s: F64) -> tuple[F64, F64, F64, F64]:
        offset = t[:, None] - c
        u, law, slope = _law()
        squared = s * offset * offset
        share, steep = np.interp(squared, u, law), np.interp(squared, u, slope)
        steep[squared >= _LARGEST_U] = 0.0
        return a * share - measured, share, steep, offset

    left, share, steep, offset = residual(height, centre, sharpness)
    cost = (left * left).sum(axis=0)
    damping = np.full(blocks, 1e-2)
    for _ in range(_ITERATIONS):
        jacobian = np.stack(
            [share, -2 * height * steep * sharpness * offset, height * steep * offset * offset], axis=-1
        )
        normal = np.einsum("kna,knb->nab", jacobian, jacobian)
        gradient = np.einsum("kna,kn->na", jacobian, left)
        diagonal = np.einsum("naa->na", normal)
        guarded = normal.copy()
        guarded[:, range(3), range(3)] += (
            damping[:, None] * diagonal + 1e-12 * diagonal.max(axis=1, keepdims=True) + 1e-30
        )
        step = -np.linalg.solve(guarded, gradient[..., None])[..., 0]
        new_height = np.maximum(height + step[:, 0], 1e-30)
        new_centre = centre + np.clip(step[:, 1], -0.5, 0.5)
        new_sharpness = np.clip(sharpness + np.clip(step[:, 2], -0.7 * sharpness, 2 * sharpness), 1e-4, 1e7)
        tried = residual(new_height, new_centre, new_sharpness)
        new_cost = (tried[0] * tried[0]).sum(axis=0)
        better = new_cost < cost
        for old, new in ((height, new_height), (centre, new_centre), (sharpness, new_sharpness)):
            old[better] = new[better]
        for old, new in zip((left, share, steep, offset), tried, strict=True):
            old[:, better] = new[:, better]
        cost = np.where(better, new_cost, cost)
        damping = np.where(better, damping / 4, damping * 4)
    total = ((measured - measured.mean(axis=0)) ** 2).sum(axis=0)
    rate = np.sqrt(sharpness) / scale
    return DefocusFit(
        height,
        centre * scale + middle,
        rate / (np.pi * frequency),
        1.0 - cost / np.maximum(total, 1e-30),
        HALF_ENERGY_X / rate,
    )
