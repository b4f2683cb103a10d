"""What the pickle of a ``torch.save`` archive says of its storages, without executing it."""

import pickletools

import torch

# In the names of storage classes; the other names are PyTorch's for the types themselves.
_NAMES = {
    "byte": "uint8",
    "char": "int8",
    "complexfloat": "complex64",
    "complexdouble": "complex128",
}


def storages(pickle):
    """The storages that a pickle of ``torch.save`` refers to: bytes and element type by key.

    The pickle's opcodes are read and nothing is executed: a stack of strings, numbers and tuples
    is kept, and everything else on it is None. What follows the pickle is not read. Raises
    ``ValueError`` for what is not a pickle.
    """
    found, stack, memo = {}, [], {}
    try:
        for opcode, argument, _ in pickletools.genops(pickle):
            name = opcode.name
            if name == "MARK":
                stack.append(pickletools.markobject)
            elif "PUT" in name:
                memo[argument] = stack[-1]
            elif name == "MEMOIZE":
                memo[len(memo)] = stack[-1]
            elif "GET" in name:
                stack.append(memo[argument])
            else:
                taken = _take(stack, opcode.stack_before)
                stack += [_value(name, argument, taken, found)] * len(opcode.stack_after)
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise ValueError("this is not a pickle") from error
    return found


def _take(stack, wanted):
    """Takes off the stack what an opcode takes, in its order, without the mark and what lies
    below it."""
    if pickletools.markobject in wanted:
        mark = len(stack) - 1 - stack[::-1].index(pickletools.markobject)
        taken, begin = stack[mark + 1 :], mark - wanted.index(pickletools.markobject)
    else:
        begin = len(stack) - len(wanted)
        taken = stack[begin:]
    if begin < 0:
        raise IndexError("the stack is too short")
    del stack[begin:]
    return taken


def _value(name, argument, taken, found):
    """What an opcode leaves on the stack; a storage or its element type goes to ``found``."""
    if name.startswith("TUPLE"):
        return tuple(taken)
    if name == "STACK_GLOBAL":
        return f"{taken[0]} {taken[1]}"
    if name == "BINPERSID":
        _, kind, key, _, count = taken[0]
        dtype = _dtype(kind)
        # Untyped storages count bytes.
        found[key] = (count * (1 if dtype is None else dtype.itemsize), dtype)
        return key
    if name == "REDUCE" and taken[0] == "torch._utils _rebuild_tensor_v3":
        # The tensor of an untyped storage.
        key, dtype = taken[1][0], _dtype(taken[1][6])
        found[key] = (found[key][0], dtype)
        return None
    return argument


def _dtype(name):
    """The element type that a pickle names, or the one of the storage class that it names."""
    name = name.removeprefix("torch ").removesuffix("Storage").lower()
    found = vars(torch).get(_NAMES.get(name, name))
    return found if isinstance(found, torch.dtype) else None
