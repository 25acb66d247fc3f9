"""A filled page laid on its blank form: corner marks where there are any, else features, then a fine fit.

Everything is measured in pixels of the blank at its working resolution. The result says how well the blank's own
ink is found on the page, so that a page of another form is refused and never misread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from digitscan.core.types import GrayImage, Ink, Mask, Transform
from digitscan.forms.template import MARK_FAMILY
from digitscan.imaging.binarize import binarize, soft_ink
from digitscan.imaging.geometry import ruled_quads

Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationParameters:
    """How a page is laid on its blank. Pixels are those of the blank, where nothing else is said.

    In brackets stand unit and source. *Tried*: chosen by trial on sample pages, of which there is no record.
    """

    look: int = 1100
    """Long side at which features are sought: letters and the corners of boxes still show. [pixels; tried]"""
    features: int = 2500
    """Features of a page, at the most. [bare; cost alone]"""
    ratio: float = 0.8
    """A match must be this much nearer than the next one. [ratio; Lowe 2004, section 7.1]"""
    fewest_matches: int = 8
    """Matches that make a fit: twice what a homography needs. [bare; tried]"""
    feature_slack: float = 0.004
    """How far a match may lie from the fit. [shares of the long side; tried]"""
    feature_tries: int = 5000
    """Fits that are tried, at the most. [bare; cost alone]"""
    feature_sure: float = 0.999
    """How sure it is that one of them was of true matches alone. [probability; tried]"""
    mark_slack: float = 6.0
    """How far a corner mark's corner may lie from the fit. [pixels; tried]"""
    tile: int = 96
    """Side of the squares that are sought again on the page once it lies roughly. [pixels; tried]"""
    tile_ink: float = 0.02
    """Ink that a square must hold. [share; tried]"""
    tile_spread: float = 0.04
    """How unevenly it must lie in rows and in columns: a square crossed by one line slides along it. [deviation of
    shares; tried]"""
    coarse_reach: int = 22
    """How far a square is sought at first. [pixels; tried]"""
    fine_reach: int = 8
    """How far it is sought then. [pixels; tried]"""
    matched: float = 0.5
    """Correlation from which a square counts as found. [-1 to 1; tried]"""
    matched_lines: float = 0.3
    """The same of a frame's plain lines, between which digits stand. [-1 to 1; tried]"""
    fewest_tiles: int = 6
    """Squares found, from which the fit is corrected. [bare; tried]"""
    tile_slack: float = 3.0
    """How far a square may lie from the corrected fit. [pixels; tried]"""
    tiles_agree: float = 0.4
    """Share of them that must lie so near. [share; tried]"""
    most_moved: float = 0.06
    """How far a correction may move a corner. [shares of the long side; tried]"""
    bend_tiles: int = 24
    """Squares found, from which a bend is fitted: four for each of its terms. [bare; tried]"""
    bend_rounds: int = 4
    """Rounds in which what stands out of the bend is left out. [bare; tried]"""
    bend_least: float = 2.0
    """What lies nearer never stands out. [pixels; tried]"""
    bend_outlier: float = 2.5
    """How far out it must stand else. [medians; tried]"""
    most_bend: int = 3
    """How far a bend may move a point. [fine reaches; tried]"""
    bend_gain: float = 0.2
    """How much nearer the squares must lie for the bend to be kept. [pixels; tried]"""
    raster: int = 16
    """Between points at which the bend is computed. [pixels; it is smooth]"""
    within: int = 3
    """How far the blank's ink may lie from the page's. [pixels; tried]"""
    within_lines: int = 6
    """The same of a frame: photographed paper curls inside it. [pixels; tried]"""
    faint: float = 0.2
    """Where between paper and typical ink the level lies at which the print is sought: rules fade first. [share;
    tried]"""
    least_level: int = 12
    """The same, at the least. [levels of soft ink; tried]"""
    least_quality: float = 0.5
    """Share of the blank's ink that must be found on the page. [share; tried]"""
    least_quality_marks: float = 0.3
    """The same where corner marks name the form. [share; tried]"""
    uneven: float = 3.0
    """How differently the sides of a page may be scaled: more is no perspective. [ratio; tried]"""
    smallest: float = 0.05
    """A page is no smaller than this. [blanks; tried]"""
    larger: float = 1.2
    """How much larger than the blank a page may be and not be averaged down first. [ratio; tried]"""
    forms_laid: int = 3
    """Blanks that a page is laid on, the best by their features. [bare; cost alone]"""
    frames_laid: int = 2
    """Frames of a page that are taken for a blank's own, the largest. [bare; cost alone]"""
    tiny: float = 1e-7
    """So that nothing is divided by zero. [bare; arithmetic]"""


_P = RegistrationParameters()


@dataclass(frozen=True, slots=True, eq=False)
class Blank:
    """An empty form's page, ready to be found.

    Attributes
    ----------
    image : (H, W) uint8
        Paper is white.
    mask : (H, W) bool
        Its ink.
    soft : (H, W) uint8
        Its soft ink, for matching.
    points : (N, 2) float64
        Features, in pixels of `image`.
    descriptors : (N, 128) float32
    marks : dict of int to (4, 2) float64
        Corners of its corner marks by their id.
    tiles : (M, 2) int
        Left and top of the squares that hold enough to be found by.
    framed : bool
        Its picture is what a ruled frame encloses: pages are found by that frame.
    """

    image: GrayImage
    mask: Mask
    soft: Ink
    points: Points
    descriptors: NDArray[np.float32]
    marks: dict[int, Points]
    tiles: NDArray[np.int64]
    framed: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Registration:
    """How a page lies on a blank.

    Attributes
    ----------
    to_blank : (3, 3) float64
        Pixels of the page to pixels of the blank.
    bend : (6, 2) float64
        What is left after that, as a polynomial of second degree over the blank: bowed scans, curved paper.
    quality : float
        Share of the blank's ink that was found where it belongs, 0 to 1.
    method : str
        ``marks``, ``features`` or ``frame``.
    """

    to_blank: Transform
    bend: NDArray[np.float64]
    quality: float
    method: str


def _features(image: GrayImage) -> tuple[Points, NDArray[np.float32]]:
    scale = min(1.0, _P.look / max(image.shape))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else image
    found, descriptors = cv2.SIFT.create(_P.features).detectAndCompute(small, None)
    if descriptors is None:
        return np.zeros((0, 2)), np.zeros((0, 128), np.float32)
    # The root of each histogram compares better than the histogram (Arandjelovic and Zisserman 2012).
    rooted = np.sqrt(descriptors / np.maximum(descriptors.sum(axis=1, keepdims=True), _P.tiny)).astype(np.float32)
    return np.array([k.pt for k in found], np.float64).reshape(-1, 2) / scale, rooted


def find_marks(image: GrayImage) -> dict[int, Points]:
    """Corner marks by id: (4, 2) corners each, in pixels, the mark's own upper left first."""
    detector = cv2.aruco.ArucoDetector(cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, MARK_FAMILY)))
    scale = min(1.0, 2 * _P.look / max(image.shape))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else image
    corners, ids, _ = detector.detectMarkers(small)
    if ids is None:
        return {}
    numbers = [int(k) for k in np.asarray(ids).ravel()]
    return {
        number: np.asarray(quad, np.float64).reshape(4, 2) / scale
        for number, quad in zip(numbers, corners, strict=True)
        if numbers.count(number) == 1
    }


def describe_blank(image: GrayImage, *, framed: bool = False) -> Blank:
    """Find in an empty form what filled pages will be recognized by.

    Parameters
    ----------
    image : (H, W) uint8
        At the working resolution; paper is white.
    framed : bool
        Pages share nothing but a ruled frame, which encloses this picture.
    """
    soft = soft_ink(image)
    mask, _ = binarize(soft)
    points, descriptors = _features(image)
    found = []
    for top in range(0, max(image.shape[0] - _P.tile, 1), _P.tile // 2):
        for left in range(0, max(image.shape[1] - _P.tile, 1), _P.tile // 2):
            part = mask[top : top + _P.tile, left : left + _P.tile]
            # A square crossed by one straight line slides along it: it must hold ink in both directions.
            rows, columns = part.mean(axis=1), part.mean(axis=0)
            if part.mean() > _P.tile_ink and min(rows.std(), columns.std()) > _P.tile_spread:
                found.append((left, top))
    return Blank(
        image=image,
        mask=mask,
        soft=soft,
        points=points,
        descriptors=descriptors,
        marks=find_marks(image),
        tiles=np.array(found, np.int64).reshape(-1, 2),
        framed=framed,
    )


def _plausible(to_blank: Transform, page: tuple[int, int], blank: tuple[int, int]) -> bool:
    """Whether a map takes a page to something like a page: no fold, no sliver."""
    back = np.linalg.inv(to_blank) if abs(np.linalg.det(to_blank)) > 1e-12 else None
    if back is None:
        return False
    h, w = blank
    corners = np.array([[[0, 0], [w, 0], [w, h], [0, h]]], np.float64)
    quad = cv2.perspectiveTransform(corners, back)[0]
    if not np.isfinite(quad).all() or not cv2.isContourConvex(quad.astype(np.float32)):
        return False
    sides = np.linalg.norm(np.roll(quad, -1, axis=0) - quad, axis=1)
    shrink = sides / np.array([w, h, w, h])
    # The same form is as wide at the top as at the foot, give or take perspective, and as long at either side.
    even = shrink.max() < _P.uneven * shrink.min()
    return bool(even and shrink.min() > _P.smallest and max(page) * 20 > sides.max())


def _by_marks(found: dict[int, Points], blank: Blank) -> Transform | None:
    shared = sorted(found.keys() & blank.marks.keys())
    if len(shared) < 2:
        return None
    here = np.concatenate([found[k] for k in shared])
    there = np.concatenate([blank.marks[k] for k in shared])
    to_blank, _ = cv2.findHomography(here, there, cv2.RANSAC, _P.mark_slack)
    return None if to_blank is None else np.asarray(to_blank, np.float64)


def _by_features(points: Points, descriptors: NDArray[np.float32], blank: Blank) -> tuple[Transform, int] | None:
    if len(points) < _P.fewest_matches or len(blank.points) < _P.fewest_matches:
        return None
    # Root descriptors have length one: their product is their likeness.
    nearest = cv2.BFMatcher(cv2.NORM_L2).knnMatch(blank.descriptors, descriptors, k=2)
    good = [pair[0] for pair in nearest if len(pair) == 2 and pair[0].distance < _P.ratio * pair[1].distance]
    if len(good) < _P.fewest_matches:
        return None
    here = points[[m.trainIdx for m in good]]
    there = blank.points[[m.queryIdx for m in good]]
    to_blank, inliers = cv2.findHomography(
        here,
        there,
        cv2.USAC_MAGSAC,
        _P.feature_slack * max(blank.image.shape),
        maxIters=_P.feature_tries,
        confidence=_P.feature_sure,
    )
    if to_blank is None or inliers is None or int(inliers.sum()) < _P.fewest_matches:
        return None
    return np.asarray(to_blank, np.float64), int(inliers.sum())


def _terms(points: Points, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """(N, 6) 1, x, y, x², xy, y² with x and y from -1 to 1 over the page."""
    x = 2 * points[:, 0] / shape[1] - 1
    y = 2 * points[:, 1] / shape[0] - 1
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)


def _shifts(soft: Ink, blank: Blank, reach: int) -> tuple[Points, Points, NDArray[np.float64]]:
    """Where the blank's squares are found on a page that roughly lies on it.

    Returns
    -------
    middles, shifts : (M, 2) float64
    scores : (M,) float64
        Correlation, -1 to 1.
    """
    padded = cv2.copyMakeBorder(soft, reach, reach, reach, reach, cv2.BORDER_CONSTANT, value=0)
    shifts = np.zeros((len(blank.tiles), 2))
    scores = np.zeros(len(blank.tiles))
    for k, (left, top) in enumerate(blank.tiles):
        tile = blank.soft[top : top + _P.tile, left : left + _P.tile]
        field = padded[top : top + _P.tile + 2 * reach, left : left + _P.tile + 2 * reach]
        if not field.any():
            continue
        answer = cv2.matchTemplate(field, tile, cv2.TM_CCOEFF_NORMED)
        _, scores[k], _, place = cv2.minMaxLoc(answer)
        shifts[k] = place[0] - reach, place[1] - reach
    middles = np.asarray(blank.tiles + _P.tile / 2.0, np.float64)
    return middles, shifts, np.asarray(np.where(np.isfinite(scores), scores, 0.0), np.float64)


def _fit_robustly(terms: NDArray[np.float64], shifts: Points) -> NDArray[np.float64]:
    """Least squares without those that stand out, a few rounds."""
    use = np.ones(len(terms), bool)
    fit: NDArray[np.float64] = np.zeros((terms.shape[1], 2))
    for _ in range(_P.bend_rounds):
        if use.sum() < 2 * terms.shape[1]:
            break
        fit = np.asarray(np.linalg.lstsq(terms[use], shifts[use], rcond=None)[0], np.float64)
        off = np.linalg.norm(shifts - terms @ fit, axis=1)
        use = off <= max(_P.bend_least, _P.bend_outlier * float(np.median(off[use])))
    return fit


def lay_on(image: GrayImage, registration: Registration, shape: tuple[int, ...]) -> GrayImage:
    """The page as it would be on the blank: (H, W) uint8 of `shape`, paper white where the page does not reach."""
    warped = cv2.warpPerspective(
        image, registration.to_blank, (shape[1], shape[0]), flags=cv2.INTER_LINEAR, borderValue=255
    )
    if not registration.bend.any():
        return np.asarray(warped, np.uint8)
    # The bend is smooth: it is computed on a coarse raster and enlarged.
    step = _P.raster
    high, wide = -(-shape[0] // step) + 1, -(-shape[1] // step) + 1
    raster = np.stack(np.meshgrid(np.arange(wide) * step, np.arange(high) * step), axis=-1).reshape(-1, 2)
    moved = (_terms(raster.astype(np.float64), shape) @ registration.bend).reshape(high, wide, 2).astype(np.float32)
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    dx, dy = (cv2.remap(moved[..., k], x / step, y / step, cv2.INTER_LINEAR) for k in (0, 1))
    return np.asarray(cv2.remap(warped, x + dx, y + dy, cv2.INTER_LINEAR, borderValue=255), np.uint8)


def _prescaled(image: GrayImage, to_blank: Transform, shape: tuple[int, ...]) -> tuple[GrayImage, Transform]:
    """Average a page down first where it is much larger than the blank: sampling alone would lose thin strokes."""
    back = np.linalg.inv(to_blank)
    corners = np.array([[[0, 0], [shape[1], 0], [shape[1], shape[0]], [0, shape[0]]]], np.float64)
    quad = cv2.perspectiveTransform(corners, back)[0]
    sides = np.linalg.norm(np.roll(quad, -1, axis=0) - quad, axis=1)
    larger = float(np.sqrt(sides[:2].prod() / (shape[0] * shape[1])))
    if larger <= _P.larger:
        return image, to_blank
    small = cv2.resize(image, None, fx=1 / larger, fy=1 / larger, interpolation=cv2.INTER_AREA)
    ratio = np.array([small.shape[1] / image.shape[1], small.shape[0] / image.shape[0]])
    return np.asarray(small, np.uint8), to_blank @ np.diag([1 / ratio[0], 1 / ratio[1], 1.0])


def found_share(soft: Ink, blank: Blank) -> float:
    """Share of the blank's ink that the page shows too, a few pixels away at the most."""
    within = _P.within_lines if blank.framed else _P.within
    total = int(blank.mask.sum())
    if not total:
        return 0.0
    # Rules are printed paler than letters and fade first: a low level still sees them.
    levels = binarize(soft)[1]
    mask = soft > max(levels.paper + _P.faint * (levels.ink - levels.paper), _P.least_level)
    near = cv2.dilate(mask.view(np.uint8), np.ones((2 * within + 1, 2 * within + 1), np.uint8))
    hit = int((near.view(np.bool_) & blank.mask).sum())
    # What dark pages would show by chance is no sign of the form.
    chance = float(near.mean())
    return max(0.0, (hit / total - chance) / max(1.0 - chance, 1e-6))


@dataclass(frozen=True, slots=True, eq=False)
class LaidPage:
    """A page on its blank, its picture and how it got there."""

    image: GrayImage
    registration: Registration


def _refine(image: GrayImage, to_blank: Transform, blank: Blank, method: str) -> LaidPage:
    """Seek the blank's squares on the roughly laid page, and fit what they say: a homography, then a bend."""
    shape = blank.image.shape
    page, to_blank = _prescaled(image, to_blank, shape)
    scale = np.array([page.shape[1] / image.shape[1], page.shape[0] / image.shape[0]])
    none = np.zeros((6, 2))
    laid = Registration(to_blank, bend=none, quality=0.0, method=method)
    matched = _P.matched_lines if blank.framed else _P.matched
    for reach in (_P.coarse_reach, _P.fine_reach):
        middles, shifts, scores = _shifts(soft_ink(lay_on(page, laid, shape)), blank, reach)
        good = scores >= matched
        if good.sum() < _P.fewest_tiles:
            continue
        corrected, inliers = cv2.findHomography(middles[good] + shifts[good], middles[good], cv2.RANSAC, _P.tile_slack)
        if corrected is None or inliers is None or inliers.sum() < _P.tiles_agree * good.sum():
            continue
        if _mild(corrected, shape):
            laid = Registration(
                np.asarray(corrected @ laid.to_blank, np.float64), bend=none, quality=0.0, method=method
            )
    picture = lay_on(page, laid, shape)
    middles, shifts, scores = _shifts(soft_ink(picture), blank, _P.fine_reach)
    good = scores >= matched
    if good.sum() >= _P.bend_tiles:
        terms = _terms(middles, shape)
        bend = _fit_robustly(terms[good], shifts[good])
        before = float(np.median(np.abs(shifts[good]).sum(axis=1)))
        after = float(np.median(np.abs(shifts[good] - terms[good] @ bend).sum(axis=1)))
        if float(np.abs(terms @ bend).max()) <= _P.most_bend * _P.fine_reach and after < before - _P.bend_gain:
            laid = Registration(laid.to_blank, bend=bend, quality=0.0, method=method)
            picture = lay_on(page, laid, shape)
    quality = found_share(soft_ink(picture), blank)
    from_source = laid.to_blank @ np.diag([scale[0], scale[1], 1.0])
    return LaidPage(picture, Registration(from_source, bend=laid.bend, quality=quality, method=method))


def _mild(correction: Transform, shape: tuple[int, ...]) -> bool:
    """Whether a correction moves no corner of the page far."""
    corners = np.array([[[0, 0], [shape[1], 0], [shape[1], shape[0]], [0, shape[0]]]], np.float64)
    moved = cv2.perspectiveTransform(corners, np.asarray(correction, np.float64))
    return bool(np.abs(moved - corners).max() < _P.most_moved * max(shape))


def best_fit(image: GrayImage, blanks: Sequence[Blank]) -> tuple[int, LaidPage] | None:
    """Which of some blanks a page is filled from, and how it lies on it; None where it is none of them.

    Parameters
    ----------
    image : (H, W) uint8
        The page in any position and size; paper is white.
    blanks : sequence of Blank
    """
    marks = find_marks(image) if any(blank.marks for blank in blanks) else {}
    rough: list[tuple[int, Transform, str]] = []
    for number, blank in enumerate(blanks):
        by_marks = _by_marks(marks, blank)
        if by_marks is not None and _plausible(by_marks, image.shape[:2], blank.image.shape[:2]):
            rough.append((number, by_marks, "marks"))
    if any(blank.framed for blank in blanks):
        rough += _by_frames(image, blanks)
    if not rough and not all(blank.framed for blank in blanks):
        points, descriptors = _features(image)
        scored = []
        for number, blank in enumerate(blanks):
            found = _by_features(points, descriptors, blank)
            if found is not None and _plausible(found[0], image.shape[:2], blank.image.shape[:2]):
                scored.append((found[1], number, found[0]))
        # Forms of one house share their letterhead: the best few are laid, and what is found of each decides.
        scored.sort(key=lambda item: -item[0])
        rough = [(number, to_blank, "features") for _, number, to_blank in scored[: _P.forms_laid]]
    laid = [(number, _refine(image, to_blank, blanks[number], method)) for number, to_blank, method in rough]
    fits = [item for item in laid if item[1].registration.quality >= _needed(item[1].registration.method)]
    return max(fits, key=lambda item: item[1].registration.quality) if fits else None


def _needed(method: str) -> float:
    return _P.least_quality_marks if method == "marks" else _P.least_quality


def _by_frames(image: GrayImage, blanks: Sequence[Blank]) -> list[tuple[int, Transform, str]]:
    """The largest ruled frames of a page, each as if it were a framed blank's own."""
    rough = []
    for quad in ruled_quads(image)[: _P.frames_laid]:
        for number, blank in enumerate(blanks):
            if blank.framed:
                h, w = blank.image.shape
                corners = np.array([[0, 0], [w - 1, 0], [w - 1, h - 1], [0, h - 1]], np.float32)
                rough.append((number, np.asarray(cv2.getPerspectiveTransform(quad, corners), np.float64), "frame"))
    return rough


def point_to_source(points: Points, registration: Registration, shape: tuple[int, ...]) -> Points:
    """Where points of the blank lie on the source page: (N, 2) each."""
    bent = points + _terms(points, shape) @ registration.bend
    back = np.linalg.inv(registration.to_blank)
    return np.asarray(cv2.perspectiveTransform(bent[None], back)[0], np.float64)
