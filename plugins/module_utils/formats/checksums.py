# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The checksums of an .xva's blocks: XXH64 with seed 0 (published algorithm: xxHash specification 0.1.1), and SHA-1 in older files.

XXH64 comes from the Python package xxhash or the system's libxxhash, else from the lines below, which are some hundred times slower.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import struct
import typing as t

from .files import is_zero

_MASK = (1 << 64) - 1
_P1, _P2, _P3 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
_P4, _P5 = 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5


def sha1(data: memoryview | bytes) -> str:
    """40 hexadecimal digits, lower case."""
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


def xxh64(data: memoryview | bytes) -> str:
    """16 hexadecimal digits, upper case."""
    return _of_zeros(len(data)) if is_zero(data) else f"{_fastest()(data):016X}"


@functools.lru_cache(maxsize=64)
def _of_zeros(length: int) -> str:
    return f"{_fastest()(bytes(length)):016X}"


@functools.cache
def _fastest() -> t.Callable[[memoryview | bytes], int]:
    return _of_package() or _of_library() or plain_xxh64


def _of_package() -> t.Callable[[memoryview | bytes], int] | None:
    try:
        import xxhash
    except ImportError:
        return None
    return t.cast("t.Callable[[memoryview | bytes], int]", xxhash.xxh64_intdigest)


def _of_library() -> t.Callable[[memoryview | bytes], int] | None:
    """Debian's apt and everybody's rsync bring the library."""
    try:
        function = ctypes.CDLL("libxxhash.so.0").XXH64
    except (OSError, AttributeError):
        return None
    function.restype, function.argtypes = ctypes.c_uint64, (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint64)

    def digest(data: memoryview | bytes) -> int:
        view = memoryview(data)
        if view.readonly or not view.c_contiguous or not view:
            return int(function(bytes(view), len(view), 0))
        return int(function(ctypes.addressof(ctypes.c_char.from_buffer(view)), len(view), 0))

    return digest


def plain_xxh64(data: memoryview | bytes) -> int:
    """The same in Python."""
    count = len(data) // 32
    total = ((_stripes(data, count) if count else _P5) + len(data)) & _MASK
    total = _tail(total, bytes(data[count * 32 :]))
    total = (total ^ (total >> 33)) * _P2 & _MASK
    total = (total ^ (total >> 29)) * _P3 & _MASK
    return total ^ (total >> 32)


def _rotate(value: int, bits: int) -> int:
    return ((value << bits) | (value >> (64 - bits))) & _MASK


def _round(lane: int, word: int) -> int:
    lane = (lane + word * _P2) & _MASK
    return ((lane << 31) | (lane >> 33)) * _P1 & _MASK


def _stripes(data: memoryview | bytes, count: int) -> int:
    a, b, c, d = (_P1 + _P2) & _MASK, _P2, 0, -_P1 & _MASK
    for word_a, word_b, word_c, word_d in struct.iter_unpack("<4Q", memoryview(data)[: count * 32]):
        a, b, c, d = _round(a, word_a), _round(b, word_b), _round(c, word_c), _round(d, word_d)
    total = (_rotate(a, 1) + _rotate(b, 7) + _rotate(c, 12) + _rotate(d, 18)) & _MASK
    for lane in (a, b, c, d):
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
