"""The similarity between two frames, from corners followed by pyramidal Lucas-Kanade in both directions."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from stacking.register.coarse import agreement, align_directly, best_guess, similarity_by_phase
from stacking.register.deformation import Departure, departure
from stacking.register.features import Features, Gray, Grid, Scale
from stacking.register.photometry import encoded_ratio
from stacking.register.similarity import Fit, Points, Similarity, Weights, consensus, refine

_LEAST_INLIERS = 12
_WINDOW = 25
_INDEPENDENT = 50.0
_FLOOR = 0.01
_LEAST_SHARE = 0.4
_TRUSTED_AGREEMENT = 0.45
# Sides of a thumbnail whose spectrum tells a turn.
_LEAST_TURNED = 8
_LEAST_AGREEMENT = 0.3
_LEAST_RESEMBLANCE = 0.15
_CORNER_SPREAD = 30.0
_NOISE_SHARE = 4.0
_FIRST_POINTS = 200


@dataclass(frozen=True, slots=True)
class Match:
    """How one frame lies on another, and how well that is known.

    Attributes
    ----------
    old, new : int
        Places in the stack; the similarity leads from the old frame to the new one.
    similarity : Similarity
        Full-resolution pixels from the centre.
    sigma_px : float
        Robust standard deviation of one point's residual.
    information : ndarray, shape (2, 2), complex128, Hermitian
        Inverse covariance of (a, b), pixels of the full picture: the weighted mean of [[|z|^2, conj z], [z, 1]] over its
        points z, over the variance of their mean.
    points : int
        Corners that agree; 0 where the thumbnails alone were aligned.
    agreement : float
        Correlation of the flattened thumbnails under the similarity.
    departure : Departure or None
        What its points say of the frames' deformation; None where there are none.
    """

    old: int
    new: int
    similarity: Similarity
    sigma_px: float
    information: NDArray[np.complex128]
    points: int
    agreement: float
    departure: Departure | None = None


@dataclass(frozen=True, slots=True)
class Tracks:
    """Points followed from one frame to another: pairs in full-resolution pixels, and the weight of each."""

    old: Points
    new: Points
    weights: Weights


@dataclass(frozen=True, slots=True)
class MatchQuery:
    """What :func:`match` is asked; its answer depends on this alone.

    Attributes
    ----------
    old, new : Features
    size : (int, int)
        Width and height of the full picture.
    known : Similarity or None
        What other matches say of it, to within a pixel or so: the coarse steps are skipped where it proves right.
    alike : bool
        Be content with nothing less than the finest scale: frames far apart whose blur differs tell little and not truly.
    thorough : bool
        Where corners fail, try to align the thumbnails by all their pixels, and for any turn and scale; this takes longer
        than all the rest.
    still : bool
        Both lie still: tell only whether they resemble each other at all.
    """

    old: Features
    new: Features
    size: tuple[int, int]
    known: Similarity | None = None
    alike: bool = False
    thorough: bool = True
    still: bool = False


def match(query: MatchQuery) -> Match | None:
    """Find the similarity from one frame to another; None where the two show no common scene."""
    old, new, size, known = query.old, query.new, query.size, query.known
    if query.still:
        x, y = np.linspace(-0.5, 0.5, 3) * size[0], np.linspace(-0.5, 0.5, 3) * size[1]
        at_rest = _matched(old, new, Similarity(), 0.0, (x[None] + 1j * y[:, None]).ravel(), None, 1)
        return at_rest if at_rest.agreement >= _LEAST_RESEMBLANCE else None
    if known is not None:
        found = _by_corners(old, new, size, known, sure=True)
        if found is not None and _trusted(found):
            return found
        if query.alike:
            return None
    factor = old.flat_factor
    guesses = [Similarity()] if known is None else [known, Similarity()]
    guess, _ = best_guess(old.flat, new.flat, factor, guesses)
    found = _by_corners(old, new, size, guess)
    if found is not None and _trusted(found):
        return found
    if not query.thorough:
        return None
    directly, reached = align_directly(old.flat, new.flat, guess, factor)
    if reached < _TRUSTED_AGREEMENT and min(old.flat.shape) >= _LEAST_TURNED:
        turned = similarity_by_phase(old.flat, new.flat, factor)
        again, score = align_directly(old.flat, new.flat, turned, factor)
        if score > reached:
            directly, reached = again, score
    found = _by_corners(old, new, size, directly)
    if found is not None and _trusted(found):
        return found
    return _by_thumbnails(old, new, size, directly) if reached >= _TRUSTED_AGREEMENT else None


def _trusted(found: Match) -> bool:
    return found.points >= _LEAST_INLIERS and found.agreement >= _LEAST_AGREEMENT


def follow(
    old: Gray, new: Gray, grid: Grid, points: Points, guess: Similarity, *, window: int, levels: int
) -> tuple[Tracks, NDArray[np.bool_]]:
    """Follow points from one picture to another and back again (Lucas and Kanade 1981, Bouguet 2000).

    The mean of both ways is returned: what a difference in blur pulls one way it pushes on the way back.

    Parameters
    ----------
    old, new : ndarray, shape (rows, columns), uint8
        Of equal brightness.
    grid : Grid
        How both lie on the full picture.
    points : ndarray, shape (n,), complex128
    guess : Similarity
    window : int
        Side of the window, working pixels.
    levels : int
        Levels of the pyramid above the picture itself.

    Returns
    -------
    tracks : Tracks
        Of the m points that came back to within half a working pixel or so.
    kept : ndarray, shape (n,), bool
    """
    if points.size == 0:
        return Tracks(points, points, np.zeros(0)), np.zeros(0, bool)
    stop = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 20, 0.01)
    here = grid.to_working(points)
    start = grid.to_working(guess(points))
    there, seen, _ = cv2.calcOpticalFlowPyrLK(
        old, new, here, start.copy(), winSize=(window, window), maxLevel=levels, criteria=stop,
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW, minEigThreshold=1e-6,
    )  # fmt: skip
    q = grid.to_full(np.asarray(there, np.float32))
    back = grid.to_working(guess.inverse()(q))
    home, seen_back, _ = cv2.calcOpticalFlowPyrLK(
        new, old, there, back.copy(), winSize=(window, window), maxLevel=levels, criteria=stop,
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW, minEigThreshold=1e-6,
    )  # fmt: skip
    p = grid.to_full(np.asarray(home, np.float32))
    astray = np.abs(p - points) / grid.factor
    kept = (seen.ravel() > 0) & (seen_back.ravel() > 0) & (astray < 0.5)
    weights = 1 / (1 + (astray[kept] / 0.1) ** 2)
    return Tracks((points[kept] + p[kept]) / 2, q[kept], weights), kept


def _by_corners(
    old: Features, new: Features, size: tuple[int, int], guess: Similarity, *, sure: bool = False
) -> Match | None:
    """Match by corners: at the coarsest scale first, then at the finest one where the two look alike.

    A point in focus in one frame and not in the other has no counterpart of its own size there; most corners of the coarser
    scales have. So of the scales where at least half of the corners find their counterpart, the finest is the one to believe.
    """
    pairs = [(a, b) for a in old.scales for b in new.scales if a.factor == b.factor]
    if not pairs:
        return None
    best: _Scaled | None = None
    if not sure:
        best = _at_scale(*pairs[-1], old, new, size, guess, far=True)
        if best is None:
            return None
        guess = best.fit.similarity
    if sure or len(pairs) > 1:
        finest = _at_scale(*pairs[0], old, new, size, guess)
        if finest is not None and finest.share >= _LEAST_SHARE:
            best = finest
        elif sure:
            return None
        else:
            for one, two in pairs[-2:0:-1]:
                finer = _at_scale(one, two, old, new, size, guess)
                if finer is None or finer.share < _LEAST_SHARE:
                    break
                best, guess = finer, finer.fit.similarity
    if best is None:
        return None
    found = _matched(old, new, best.fit.similarity, best.fit.sigma_px, best.tracks.old, best.fit, best.factor)
    return replace(found, departure=departure(best.tracks.old, best.tracks.new, best.fit, size))


@dataclass(frozen=True, slots=True)
class _Scaled:
    """A fit at one scale: its points in both frames, and the share of corners that found their counterpart."""

    fit: Fit
    tracks: Tracks
    share: float
    factor: int


def _at_scale(
    one: Scale, two: Scale, old: Features, new: Features, size: tuple[int, int], guess: Similarity, *, far: bool = False
) -> _Scaled | None:
    """Follow the corners of one scale from a guess, which may be far off where `far` is set; None where too few return."""
    strong = one.strength > _NOISE_SHARE
    if int(strong.sum()) < 3 * _LEAST_INLIERS:
        strong = one.strength > 1.0
    points, strength = one.corners[strong], one.strength[strong]
    if far:  # a first guess needs no more; they come in the order of the grid, so what is left covers the picture, too
        thinned = slice(None, None, max(1, points.size // _FIRST_POINTS))
        points, strength = points[thinned], strength[thinned]
    grid = Grid.of(size, one.factor)
    image_old, image_new = equalise(one.image, two.image, old, new, guess)
    levels = max(0, int(np.log2(min(one.image.shape) / 24))) if far else 0
    tracks, kept = follow(image_old, image_new, grid, points, guess, window=_WINDOW, levels=levels)
    if tracks.old.size < _LEAST_INLIERS:
        return None
    if far:
        found = consensus(tracks.old, tracks.new, [guess], reach_px=1.5 * grid.factor)
        if found is None or int(found.inliers.sum()) < _LEAST_INLIERS:
            return None
        guess = found.similarity
    fit = refine(tracks.old, tracks.new, guess, tracks.weights / (1 + _CORNER_SPREAD / strength[kept]))
    near = np.abs(tracks.new - fit.similarity(tracks.old)) < 0.5 * grid.factor
    if int(near.sum()) < _LEAST_INLIERS:
        return None
    return _Scaled(fit, tracks, float(near.sum()) / points.size, one.factor)


def _by_thumbnails(old: Features, new: Features, size: tuple[int, int], guess: Similarity) -> Match:
    x, y = np.linspace(-0.5, 0.5, 3) * size[0], np.linspace(-0.5, 0.5, 3) * size[1]
    return _matched(old, new, guess, 0.3 * old.flat_factor, (x[None] + 1j * y[:, None]).ravel(), None, old.flat_factor)


def _matched(
    old: Features, new: Features, found: Similarity, sigma: float, z: Points, fit: Fit | None, factor: int
) -> Match:
    w = np.ones(z.size) if fit is None else fit.weights
    total = float(w.sum())
    mean = complex((w * z).sum()) / total
    shape = np.array([[float((w * np.abs(z) ** 2).sum()) / total, mean.conjugate()], [mean, 1]], np.complex128)
    # Points share errors (parallax, one blur for all): beyond some number they tell nothing new.
    variance = sigma**2 / min(total, _INDEPENDENT) + (_FLOOR * factor) ** 2
    return Match(
        old=old.index,
        new=new.index,
        similarity=found,
        sigma_px=sigma,
        information=shape / variance,
        points=0 if fit is None else int(fit.inliers.sum()),
        agreement=agreement(old.flat, new.flat, found, old.flat_factor),
    )


def equalise(one: Gray, two: Gray, old: Features, new: Features, guess: Similarity) -> tuple[Gray, Gray]:
    """Bring two pictures to one brightness by darkening the brighter one, so that neither clips."""
    ratio = encoded_ratio(old.light, new.light, guess, old.light_factor)
    if ratio is None or abs(ratio - 1) < 0.01:
        return one, two
    table = np.round(np.arange(256) * min(ratio, 1 / ratio)).astype(np.uint8)
    darker = np.asarray(cv2.LUT(two if ratio > 1 else one, table), np.uint8)
    return (one, darker) if ratio > 1 else (darker, two)
