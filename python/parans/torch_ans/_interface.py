"""torch_ans' high-level interface, with its bytes made and read in Rust."""

import torch

from parans import _parans
from parans.torch_ans import _tables
from parans.torch_ans._base import Base


class TorchANSInterface(Base):
    """torch_ans' ``TorchANSInterface``: the same arguments, methods, attributes and bytes.

    Damaged bytes raise :class:`parans.Error`, where torch_ans gives wrong symbols.
    """

    def encode(self, symbols, dist_indexes=None, dist_freqs=None, dist_num_freqs=None,
               dist_min=None, cache=False, **tables):
        """Encodes to a stream tensor, or queues the call until :meth:`encode_flush`."""
        call = (symbols, dist_indexes, dist_freqs, dist_num_freqs, dist_min)
        if cache:
            self._queue.append((call, tables))
            return None
        return torch.from_numpy(self._push(None, 1, *call, **tables).tensor())

    def reset_cache(self):
        """Forgets the queued calls."""
        self._queue = []

    def _flushed(self):
        # The first queued is pushed last, so that it is popped first.
        streams = None
        for call, tables in reversed(self._queue):
            streams = self._push(streams, call[0].size(0), *call, **tables)
        self.reset_cache()
        return streams

    def encode_flush(self):
        """The stream tensor of all queued calls."""
        streams = self._flushed()
        return None if streams is None else torch.from_numpy(streams.tensor())

    def flush(self):
        """The bytes of all queued calls."""
        streams = self._flushed()
        return b"" if streams is None else self._merged(streams)

    def decode(self, stream, dist_indexes=None, dist_freqs=None, dist_num_freqs=None,
               dist_min=None, **tables):
        """Decodes from a stream tensor, whose rows it takes the symbols from; None is the stream
        that :meth:`set_stream` took."""
        call = (dist_indexes, dist_freqs, dist_num_freqs, dist_min)
        if stream is None:
            return self._pop(self._encoded_stream, *call, **tables)
        family, lanes, _ = self._operator
        streams = _parans.Streams.from_tensor(_tables.host(stream), family, lanes)
        symbols = self._pop(streams, *call, **tables)
        words = torch.from_numpy(streams.tensor())
        stream[:, : words.size(1)].copy_(words)
        return symbols

    def encode_with_indexes(self, symbols, indexes, cache=False):
        """Encodes to bytes; with ``cache`` queues the call until :meth:`flush`."""
        if cache:
            return self.encode(symbols, indexes, cache=True)
        return self._merged(self._push(None, 1, symbols, indexes))

    def decode_with_indexes(self, encoded, indexes):
        """Decodes bytes to symbols of the indexes' shape, and checks that nothing is left over."""
        streams = self._split(encoded)
        symbols = self._pop(streams, indexes)
        streams.expect_initial()
        return symbols

    def set_stream(self, encoded):
        """Takes the bytes that :meth:`decode_stream` decodes from."""
        self._encoded_stream = self._split(encoded)

    def decode_stream(self, indexes):
        """Decodes the next symbols of the bytes that were set."""
        return self._pop(self._encoded_stream, indexes)

    def encode_with_freqs(self, symbols, freqs, num_freqs, offsets, cache=False):
        """Encodes symbols with frequencies of each one's own, of shape (..., alphabet)."""
        if cache:
            return self.encode(symbols, None, freqs, num_freqs, offsets, cache=True)
        return self._merged(self._push(None, 1, symbols, None, freqs, num_freqs, offsets))

    def decode_with_freqs(self, encoded, freqs, num_freqs, offsets):
        """Decodes what :meth:`encode_with_freqs` made."""
        streams = self._split(encoded)
        symbols = self._pop(streams, None, freqs, num_freqs, offsets)
        streams.expect_initial()
        return symbols

    def decode_stream_with_freqs(self, freqs, num_freqs, offsets):
        """Decodes the next symbols of the bytes that were set."""
        return self._pop(self._encoded_stream, None, freqs, num_freqs, offsets)
