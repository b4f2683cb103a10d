"""Writing a file without losing the one before."""

import contextlib
import os
import tempfile


@contextlib.contextmanager
def replacing(path):
    """A binary file that takes the place of ``path`` when the block ends well: until then, and
    after an error, what was there stays whole."""
    path = os.fspath(path)
    folder, name = os.path.split(os.path.abspath(path))
    descriptor, temporary = tempfile.mkstemp(prefix=f".{name}.", dir=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        mode = 0o666 & ~_umask()
        with contextlib.suppress(OSError):
            mode = os.stat(path).st_mode & 0o777
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
