"""CompressAI's entropy coders on parans: the same classes and bytes.

:func:`install` makes an unmodified CompressAI use them. Lists are taken as CompressAI takes them;
arrays and tensors are taken as well, and are many times faster::

    from parans.compressai import encode_batch, decode_batch

    strings = encode_batch(symbols, indexes, cdfs, sizes, offsets)  # symbols: (images, ...)
    symbols = decode_batch(strings, indexes, cdfs, sizes, offsets)

A symbol 2**30 or more outside its table raises ``ValueError``, where CompressAI's encoder never
returns from 2**27 on; damaged bytes raise :class:`parans.Error`.
"""

from parans._arrays import like
from parans._parans import BufferedRansEncoder, RansDecoder, RansEncoder, encode_batch
from parans._parans import decode_batch as _decode_batch

__all__ = [
    "BufferedRansEncoder",
    "EntropyCoder",
    "RansDecoder",
    "RansEncoder",
    "decode_batch",
    "encode_batch",
    "install",
]


def decode_batch(strings, indexes, cdfs, cdfs_sizes, offsets):
    """The symbols of a batch of strings, an array of the indexes' shape and kind, decoded in
    parallel. Damaged strings raise :class:`parans.Error`."""
    return like(_decode_batch(strings, indexes, cdfs, cdfs_sizes, offsets), indexes)


class EntropyCoder:
    """What a CompressAI model takes for its coder: ``model.entropy_bottleneck.entropy_coder =
    EntropyCoder()``."""

    name = "ans"

    def __init__(self):
        self._encoder, self._decoder = RansEncoder(), RansDecoder()

    def encode_with_indexes(self, *args, **kwargs):
        """As :meth:`RansEncoder.encode_with_indexes`."""
        return self._encoder.encode_with_indexes(*args, **kwargs)

    def decode_with_indexes(self, *args, **kwargs):
        """As :meth:`RansDecoder.decode_with_indexes`."""
        return self._decoder.decode_with_indexes(*args, **kwargs)


def install():
    """Puts these classes in the place of CompressAI's module ``compressai.ans``.

    Raises ``RuntimeError`` where CompressAI was imported already, whose models have taken its own
    classes, and ``ImportError`` where it is not installed.
    """
    import sys
    import types

    taken = sys.modules.get("compressai.ans")
    if getattr(taken, "RansEncoder", RansEncoder) is not RansEncoder:
        raise RuntimeError("compressai is imported already: call install() before it")
    module = types.ModuleType("compressai.ans", __doc__)
    module.RansEncoder, module.RansDecoder = RansEncoder, RansDecoder
    module.BufferedRansEncoder = BufferedRansEncoder
    sys.modules["compressai.ans"] = module
    try:
        import compressai
    except ImportError:
        del sys.modules["compressai.ans"]
        raise
    compressai.ans = module
    return module
