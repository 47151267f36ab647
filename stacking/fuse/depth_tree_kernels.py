"""Compiled loops of the means along a minimum spanning tree of the picture (Yang 2012, DOI 10.1109/CVPR.2012.6247827).

The tree joins neighbouring cells by their least differences, so its paths run within surfaces and cross an edge only where
there is no way round. A cell's mean is over the whole tree, every other cell weighing less the more the picture changes on
the way to it: it reaches far over what is smooth, and not into a hair's neighbour.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stacking.fuse.compiled import compiled, inlined

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
U8 = NDArray[np.uint8]


@inlined
def _root(parent: I32, cell: int) -> int:
    while parent[cell] != cell:
        parent[cell] = parent[parent[cell]]
        cell = parent[cell]
    return cell


@inlined
def _by_difference(right: U8, down: U8) -> I32:
    """All edges, least first, equal ones in reading order: twice the cell, plus 1 for the edge to the cell below."""
    rows, columns = right.shape
    ends = np.zeros(257, np.int64)
    for y in range(rows):
        for x in range(columns):
            if x < columns - 1:
                ends[np.int64(right[y, x]) + 1] += 1
            if y < rows - 1:
                ends[np.int64(down[y, x]) + 1] += 1
    for k in range(1, 257):
        ends[k] += ends[k - 1]
    edges = np.empty(ends[256], np.int32)
    for y in range(rows):
        for x in range(columns):
            cell = y * columns + x
            if x < columns - 1:
                edges[ends[right[y, x]]] = 2 * cell
                ends[right[y, x]] += 1
            if y < rows - 1:
                edges[ends[down[y, x]]] = 2 * cell + 1
                ends[down[y, x]] += 1
    return edges


@inlined
def _joined(edges: I32, cells: int, columns: int) -> U8:
    """Bits of each cell: 1 joined to its right, 2 to below."""
    group = np.arange(cells).astype(np.int32)
    height = np.zeros(cells, np.uint8)
    joined = np.zeros(cells, np.uint8)
    for edge in edges:
        cell = edge >> 1
        one = _root(group, cell)
        two = _root(group, cell + 1 if edge & 1 == 0 else cell + columns)
        if one == two:
            continue
        if height[one] < height[two]:
            one, two = two, one
        group[two] = one
        if height[one] == height[two]:
            height[one] += 1
        joined[cell] |= 1 if edge & 1 == 0 else 2
    return joined


@compiled("void(uint8[:,::1], uint8[:,::1], int32[::1], int32[::1], uint8[::1])")
def span_tree(right: U8, down: U8, order: I32, parents: I32, steps: U8) -> None:
    """The minimum spanning tree of a grid (Kruskal 1956; of equal edges the first in reading order), seen from its first cell.

    Parameters
    ----------
    right, down : ndarray (rows, columns), uint8
        Difference of each cell from the one to its right and from the one below; of the last column and row not read.
    order : ndarray (cells,), int32
        Written: all cells, parents before their children.
    parents : ndarray (cells,), int32
        Written: the parent of each cell; of the first one itself.
    steps : ndarray (cells,), uint8
        Written: difference of each cell from its parent.
    """
    rows, columns = right.shape
    cells = rows * columns
    joined = _joined(_by_difference(right, down), cells, columns)
    seen = np.zeros(cells, np.uint8)
    order[0], parents[0], steps[0], seen[0] = 0, 0, 0, 1
    found = 1
    for place in range(cells):
        cell = order[place]
        y, x = cell // columns, cell % columns
        for side in range(4):
            other, step = -1, np.uint8(0)
            if side == 0 and joined[cell] & 1 != 0:
                other, step = cell + 1, right[y, x]
            elif side == 1 and joined[cell] & 2 != 0:
                other, step = cell + columns, down[y, x]
            elif side == 2 and x > 0 and joined[cell - 1] & 1 != 0:
                other, step = cell - 1, right[y, x - 1]
            elif side == 3 and y > 0 and joined[cell - columns] & 2 != 0:
                other, step = cell - columns, down[y - 1, x]
            if other >= 0 and seen[other] == 0:
                seen[other] = 1
                order[found], parents[other], steps[other] = other, cell, step
                found += 1


@compiled("void(float32[::1], int32[::1], int32[::1], float32[::1], float32[::1])")
def sum_over_tree(values: F32, order: I32, parents: I32, shares: F32, sums: F32) -> None:
    """Sums over the whole tree, a cell weighing the product of the shares on the way to it.

    Parameters
    ----------
    values, sums : ndarray (cells,), float32
    order, parents : ndarray (cells,), int32
        As :func:`span_tree` leaves them.
    shares : ndarray (cells,), float32
        What passes between each cell and its parent, 0 to 1.
    """
    cells = values.size
    for cell in range(cells):
        sums[cell] = values[cell]
    for place in range(cells - 1, 0, -1):
        cell = order[place]
        sums[parents[cell]] += shares[cell] * sums[cell]
    for place in range(1, cells):
        cell = order[place]
        share = shares[cell]
        sums[cell] = share * sums[parents[cell]] + (np.float32(1.0) - share * share) * sums[cell]
