"""The law of a shake that dies away after a move, fitted to shifts seen at known times. Pure.

A damped oscillation ``A (exp(-t / tau) - k) cos(2 pi f t + phase)``, each direction with its own amplitude and phase; ``k`` is dry
friction, which ends it. A frame shows its mean over the exposure. Frames come at chance times after many equal moves, so frequencies
far above the frame rate are told apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

_TAUS = 28
_HIGHEST_HZ = 80.0
_FRICTIONS = (0.0, 0.003, 0.006, 0.012, 0.025)
_REWEIGHTS = 3
_SHARE_OF_ERROR, _LEAST_ERROR = 0.2, 0.02
_ZOOMS = 5
_FEWEST = 6
# Gain of logarithmic likelihood over a shake that never ends.
_WORTH_A_DECAY = 6.0


@dataclass(frozen=True, slots=True)
class ShakeLaw:
    """A fitted shake.

    Attributes
    ----------
    amplitude : float
        At the end of the move, along the direction in which it is largest; in the unit of the shifts.
    tau_s, frequency_hz : float
    friction : float
        In units of `amplitude`.
    explained : float
        Share of the shifts' energy that the law explains, 0 to 1.
    """

    amplitude: float
    tau_s: float
    frequency_hz: float
    friction: float
    explained: float

    def settled_s(self, limit: float) -> float:
        """Time after the move from which the shake stays below `limit`."""
        if self.amplitude * (1 - self.friction) <= limit:
            return 0.0
        return self.tau_s * math.log(1.0 / (limit / self.amplitude + self.friction))


def fit_shake(times_s: F64, shifts: F64, exposure_s: float, rest: float = 0.0) -> ShakeLaw | None:
    """The law that explains most; None for too few shifts.

    Parameters
    ----------
    times_s : ndarray, shape (n,)
        From the end of the move to the beginning of the exposure.
    shifts : ndarray, shape (n, 2)
        Against the picture at rest.
    exposure_s : float
    rest : float
        Root mean square of the shifts at rest.
    """
    if len(times_s) < _FEWEST:
        return None
    longest = float(times_s.max()) + exposure_s
    taus = np.geomspace(0.008, 2 * longest, _TAUS)
    spacing = 0.2 / longest
    frequencies = np.arange(0.0, _HIGHEST_HZ, spacing)
    law = max((_best(times_s, shifts, exposure_s, tau, frequencies, 0.0) for tau in taus), key=_explained)
    width = taus[1] / taus[0]
    for _ in range(_ZOOMS):
        law = refined(law, times_s, shifts, exposure_s, width, spacing)
        width, spacing = width**0.4, spacing * 0.4
    explained = law.explained
    # times that are not exact spoil the large shifts; how the small ones end is what is wanted
    for _ in range(_REWEIGHTS):
        weights = weights_of(law, times_s, rest)
        law = refined(replace(law, explained=0.0), times_s, shifts, exposure_s, weights=weights)
        law = refined(law, times_s, shifts, exposure_s, 1.05, 0.05, weights=weights)
    return replace(law, explained=explained)


def weights_of(law: ShakeLaw, times_s: F64, rest: float) -> F64:
    """What a shift's square counts: less where it is large, for its error is, too."""
    envelope = law.amplitude * np.maximum(np.exp(-times_s / law.tau_s) - law.friction, 0.0)
    variance = rest**2 + _LEAST_ERROR**2 + (_SHARE_OF_ERROR * envelope) ** 2
    return np.asarray(1.0 / variance, np.float64)


def fit_envelope(times_s: F64, shifts: F64, rest: float) -> tuple[float, float] | None:
    """Amplitude and time constant from the sizes of the shifts alone, whatever their phases; None where they do not die away.

    The square of a shift has the mean ``A^2 exp(-2 t / tau) / 2 + rest^2``; the most likely of a grid is taken, for exponentially
    distributed squares, then of a finer one round it. A frame's exposure hides a part of a fast shake.

    Parameters
    ----------
    times_s : ndarray, shape (n,)
    shifts : ndarray, shape (n, 2)
    rest : float
        Root mean square of the shifts at rest.
    """
    if len(times_s) < _FEWEST:
        return None
    squares = (shifts * shifts).sum(axis=1)
    floor = rest * rest + 1e-6
    amplitudes = np.geomspace(
        max(float(np.sqrt(squares.max())), rest) / 4, 16 * float(np.sqrt(squares.max())) + rest, 48
    )
    taus = np.geomspace(0.005, 4 * float(times_s.max()) + 0.01, 48)
    for _ in range(3):
        decay = np.exp(-2 * times_s[None, None, :] / taus[:, None, None])
        mean = 0.5 * amplitudes[None, :, None] ** 2 * decay + floor
        cost = (np.log(mean) + squares / mean).sum(axis=2)
        best_tau, best_amplitude = np.unravel_index(int(cost.argmin()), cost.shape)
        amplitude, tau_s = float(amplitudes[best_amplitude]), float(taus[best_tau])
        amplitudes = amplitude * np.geomspace(0.8, 1.25, 25)
        taus = tau_s * np.geomspace(0.8, 1.25, 25)
    flat = float(np.mean(squares)) + 1e-12
    gained = len(squares) * (np.log(flat) + 1) - float(cost.min())
    return (amplitude, tau_s) if gained > _WORTH_A_DECAY and tau_s < 2 * float(times_s.max()) else None


def refined(
    law: ShakeLaw,
    times_s: F64,
    shifts: F64,
    exposure_s: float,
    width: float = 1.2,
    spacing: float = 0.2,
    *,
    weights: F64 | None = None,
) -> ShakeLaw:
    """The best law in the neighbourhood of `law`: times constants within a factor, frequencies within a distance."""
    frequencies = np.maximum(law.frequency_hz + spacing * np.linspace(-1.0, 1.0, 9), 0.0)
    candidates = [
        _best(times_s, shifts, exposure_s, law.tau_s * factor, frequencies, friction, weights)
        for factor in width ** np.linspace(-1.0, 1.0, 7)
        for friction in _FRICTIONS
    ]
    return max((*candidates, law), key=_explained)


def _explained(law: ShakeLaw) -> float:
    return law.explained


def _best(
    times_s: F64,
    shifts: F64,
    exposure_s: float,
    tau_s: float,
    frequencies: F64,
    friction: float,
    weights: F64 | None = None,
) -> ShakeLaw:
    """The best frequency for a time constant and a friction, by least squares."""
    decay = -1.0 / tau_s + 2j * np.pi * frequencies[:, None]
    smear = (np.exp(decay * exposure_s) - 1.0) / (decay * exposure_s) if exposure_s > 0 else 1.0
    middle = times_s + 0.5 * exposure_s
    left = np.maximum(1.0 - friction * np.exp(np.minimum(middle / tau_s, 50.0)), 0.0)
    wave = np.exp(decay * times_s) * smear * left
    if weights is not None:
        root = np.sqrt(weights / weights.max())
        wave, shifts = wave * root, shifts * root[:, None]
    a, b = wave.real, -wave.imag
    aa, bb, ab = np.maximum((a * a).sum(1), 1e-12), (b * b).sum(1), (a * b).sum(1)
    # frequency 0 has no phase: its second basis is empty
    determinant = aa * bb - ab * ab
    sound = determinant > 1e-9 * aa * aa
    bb, ab = np.where(sound, bb, 1.0), np.where(sound, ab, 0.0)
    determinant = np.where(sound, determinant, aa)
    right_a, right_b = a @ shifts, np.where(sound[:, None], b @ shifts, 0.0)
    cosine = (bb[:, None] * right_a - ab[:, None] * right_b) / determinant[:, None]
    sine = (aa[:, None] * right_b - ab[:, None] * right_a) / determinant[:, None]
    gained = (cosine * right_a + sine * right_b).sum(1)
    best = int(np.argmax(gained))
    total = max(float((shifts * shifts).sum()), 1e-12)
    axes = np.stack([cosine[best], sine[best]])
    amplitude = float(np.linalg.svd(axes, compute_uv=False)[0])
    law = ShakeLaw(amplitude, tau_s, float(frequencies[best]), friction, min(float(gained[best]) / total, 1.0))
    return law if amplitude > 0 else replace(law, friction=0.0)
