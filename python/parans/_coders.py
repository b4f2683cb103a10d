"""The coder whose results are arrays of the kind that it was given."""

from parans import _parans
from parans._arrays import like


class Coder(_parans.Coder):
    __doc__ = _parans.Coder.__doc__

    def pop(self, streams, indexes=None, *, shape=None, dtype=None, stream=None):
        """Pops what the last push of this shape pushed, in the kind of array that the indexes
        are, on their device. One index for all symbols needs their ``shape``."""
        symbols = super().pop(streams, indexes, shape=shape, dtype=dtype, stream=stream)
        return like(symbols, indexes)

    def decode(self, data, indexes=None, *, shape=None, dtype=None, stream=None):
        """Decodes what :meth:`encode` made, to symbols of ``dtype`` (int32 unless said) in the
        kind of array that the indexes are, on their device. One index for all symbols needs
        their ``shape``. Raises :class:`parans.Error` for damaged bytes."""
        symbols = super().decode(data, indexes, shape=shape, dtype=dtype, stream=stream)
        return like(symbols, indexes)
