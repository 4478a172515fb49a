# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""XXH64 with seed 0, the checksum of XVA chunks (published algorithm: xxHash specification, version 0.1.1)."""

from __future__ import annotations

import functools
import struct
import typing as t

_MASK = (1 << 64) - 1
_P1, _P2, _P3 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
_P4, _P5 = 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5


def _rotate(value: int, bits: int) -> int:
    return ((value << bits) | (value >> (64 - bits))) & _MASK


def _round(lane: int, word: int) -> int:
    return _rotate((lane + word * _P2) & _MASK, 31) * _P1 & _MASK


def _stripes(data: bytes, count: int) -> int:
    lanes = [(_P1 + _P2) & _MASK, _P2, 0, -_P1 & _MASK]
    for words in struct.iter_unpack("<4Q", memoryview(data)[: count * 32]):
        lanes = [_round(lane, word) for lane, word in zip(lanes, words, strict=True)]
    total = sum(_rotate(lane, bits) for lane, bits in zip(lanes, (1, 7, 12, 18), strict=True)) & _MASK
    for lane in lanes:
        total = ((total ^ _round(0, lane)) * _P1 + _P4) & _MASK
    return total


def _tail(total: int, rest: bytes) -> int:
    at = 0
    while at + 8 <= len(rest):
        total = (_rotate(total ^ _round(0, int.from_bytes(rest[at : at + 8], "little")), 27) * _P1 + _P4) & _MASK
        at += 8
    if at + 4 <= len(rest):
        total = (_rotate(total ^ (int.from_bytes(rest[at : at + 4], "little") * _P1 & _MASK), 23) * _P2 + _P3) & _MASK
        at += 4
    for byte in rest[at:]:
        total = _rotate(total ^ (byte * _P5 & _MASK), 11) * _P1 & _MASK
    return total


def digest(data: bytes) -> str:
    """16 hexadecimal digits, upper case."""
    return _of_zeros(len(data)) if not data.strip(b"\0") else _digest(data)


@functools.lru_cache(maxsize=64)
def _of_zeros(length: int) -> str:
    return _digest(bytes(length))


def _digest(data: bytes) -> str:
    count = len(data) // 32
    total = ((_stripes(data, count) if count else _P5) + len(data)) & _MASK
    total = _tail(total, data[count * 32 :])
    steps: tuple[tuple[int, t.Any], ...] = ((33, _P2), (29, _P3), (32, None))
    for shift, factor in steps:
        total ^= total >> shift
        total = total * factor & _MASK if factor else total
    return f"{total:016X}"
