"""Files written whole or not at all, and folders that one process at a time writes to."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LOCK_NAME = ".lock"
_SUFFIX = ".partial"


def replace_file(path: Path, content: Any) -> None:
    """Writes a file whole or not at all, and durably.

    Args:
      path: the file; replaced if it exists. Its folder exists.
      content: anything with the buffer protocol.

    Raises:
      OSError: naming `path`; what was there before is still there, and no temporary file.
    """
    # Two processes that write the same file must not write to the same temporary one; their
    # numbers do not tell them apart where they run on different machines.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}{_SUFFIX}")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # makes the new name durable
        finally:
            os.close(folder)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):  # the name of the temporary file says nothing to anybody
            raise OSError(error.errno, error.strerror, str(path)) from None
        raise


def is_temporary(name: str) -> bool:
    """Whether a file of this name is what a killed `replace_file` left behind."""
    return name.startswith(".") and name.endswith(_SUFFIX)


def meant_for(name: str) -> str:
    """The file that a temporary one was to become: its name, from the temporary one's."""
    return name.removeprefix(".").removesuffix(_SUFFIX).rpartition(".")[0]


@contextlib.contextmanager
def locked(folder: Path, what: str, *, name: str = LOCK_NAME) -> Iterator[None]:
    """Keeps a second writer out of a folder; the lock goes with the process, however it ends.

    Args:
      folder: exists.
      what: what is written there, for the message: "dataset".
      name: of the lock file, where several share a folder.

    Raises:
      BlockingIOError: another process, or another thread of this one, holds the lock.
    """
    import fcntl

    with open(folder / name, "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BlockingIOError(
                error.errno, f"another process is writing this {what}", str(folder)
            ) from None
        yield
