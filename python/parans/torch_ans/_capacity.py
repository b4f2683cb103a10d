"""torch_ans' families, and its bound of a stream's bytes, by which its callers reserve."""

#: Bytes of a word of each family's streams.
WORD_BYTES = {"rans64": 4, "rans32": 1, "rans32_16": 2, "tans32": 2, "tans16": 1, "tans8": 1}

#: The largest precision of each family. rans32_16 stands before rans32, which it begins as.
LARGEST_PRECISION = {
    "rans64": 31,
    "rans32_16": 15,
    "rans32": 23,
    "tans32": 15,
    "tans16": 15,
    "tans8": 7,
}


def family_of(impl):
    """The family of an ``impl`` of torch_ans."""
    for family in LARGEST_PRECISION:
        if impl.startswith(family):
            return family
    if impl.startswith("rans_byte"):
        return "rans32"
    raise NotImplementedError(f"Unknown impl {impl}")


def worst_case_bytes(used, symbols, precision, digit_bits, family, lanes):
    """Bytes that the longest row can have after a push of so many symbols; ``digit_bits`` are those
    of bypass digits, None without bypass."""
    bits = precision
    if digit_bits is not None:
        if digit_bits < 1:
            raise ValueError(f"bypass_precision must be >= 1, got {digit_bits}")
        digits = -(-32 // digit_bits)
        bits += (digits + 1 + digits // ((1 << digit_bits) - 1)) * digit_bits
    return used + (symbols * bits + 7) // 8 + (lanes + 1) * WORD_BYTES[family]


def reserve(stream, symbols, precision, digit_bits, family, lanes, used_bytes):
    """Gives a stream the columns that a push of so many symbols per row can need, in place. With
    ``used_bytes`` of 0 and more they must be there: the caller owns the capacity."""
    used = used_bytes
    if used < 0:
        used = int(stream[:, 0].max()) if stream.size(0) else 0
    needed = worst_case_bytes(used, symbols, precision, digit_bits, family, lanes)
    columns = needed // stream.element_size() + 1
    if columns <= stream.size(1):
        return
    if used_bytes >= 0:
        raise ValueError(
            f"the stream has {stream.size(1)} columns but this call needs {columns} "
            f"(used_bytes={used_bytes}); when used_bytes is given the caller owns the stream "
            "capacity"
        )
    before = stream.clone()
    stream.resize_(stream.size(0), columns)
    stream[:, : before.size(1)].copy_(before)
    stream[:, before.size(1) :].zero_()
