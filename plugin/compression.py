"""Compression of what is stored: Zstandard (RFC 8878), several times faster than zlib at the same size."""

from threading import local

from zstandard import ZstdCompressor, ZstdDecompressor, ZstdError

_LEVEL = 1


class _Codec(local):
    """One compressor and one decompressor a thread: making them costs more than using them, sharing is forbidden."""

    def __init__(self) -> None:
        self.compressor, self.decompressor = ZstdCompressor(level=_LEVEL), ZstdDecompressor()


_codec = _Codec()


def pack(data: bytes) -> bytes:
    """Return the data compressed, with its length."""
    packed: bytes = _codec.compressor.compress(data)
    return packed


def unpack(packed: bytes) -> bytes:
    """Return what :func:`pack` compressed; raise ValueError for anything else."""
    try:
        data: bytes = _codec.decompressor.decompress(packed)
    except ZstdError as error:
        raise ValueError(str(error)) from None
    return data
