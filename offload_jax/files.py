"""Text read, files written whole or not at all, folders that one process at a time writes to."""

import contextlib
import errno
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from offload_jax.validation import FINITE, Rule

_JSON_NAMES: dict[type, str] = {dict: "object", list: "array", str: "string", float: "number"}
LOCK_NAME = ".lock"
_SUFFIX = ".partial"
# What a file that is no text begins with.
_SIGNATURES = {b"\x1f\x8b": "gzip", b"PK": "zip", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, with or without a byte-order mark.

    Raises:
      ValueError: naming `path`; the file is in another encoding, compressed or binary.
      OSError: the file cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        kind = _SIGNATURES.get(path.read_bytes()[:2], "binary or in another encoding")
        raise ValueError(f"{path}: must be text in UTF-8, but is {kind}")
    return text


def parse_json(text: str) -> Any:
    """The content of a JSON document, every number a float.

    Raises:
      ValueError: names the line where the text is no JSON.
    """
    try:
        return json.loads(text, parse_int=float)
    except json.JSONDecodeError as error:
        raise ValueError(f"line {error.lineno}: no JSON: {error.msg}") from None
    except RecursionError:
        raise ValueError("JSON that is nested too deeply to read") from None


def json_entry(holder: Any, key: str, kind: type, where: str) -> Any:
    """An entry of a JSON object.

    Args:
      holder: the object, of `parse_json`.
      key: the name of the entry.
      kind: the type it must have.
      where: what the object is, for the message.

    Raises:
      ValueError: the holder is no object, or has no such entry of that type.
    """
    if not isinstance(holder, dict):
        raise ValueError(f"{where}: must be a JSON object")
    if key not in holder:
        raise ValueError(f"{where}: has no {key}")
    if not isinstance(holder[key], kind):
        raise ValueError(f"{where}: {key} must be a JSON {_JSON_NAMES[kind]}")
    return holder[key]


def json_number(holder: Any, key: str, where: str, rule: Rule = FINITE) -> float:
    """An entry of a JSON object that is a number; see `json_entry` and `parse_number`."""
    return parse_number(json_entry(holder, key, float, where), f"{where}: {key}", rule)


def parse_number(value: str | float, where: str, rule: Rule = FINITE) -> float:
    """A number in a file.

    Args:
      value: its text, or the number itself.
      where: the line and what the number is, for the message.
      rule: what it must be.

    Raises:
      ValueError: it is no number, or breaks the rule.
    """
    try:
        number = float(value)
    except ValueError:
        raise ValueError(f"{where} = {value!r:.60}: must be a number") from None
    if not rule.holds(number):
        raise ValueError(f"{where} = {value:.60}: {rule.wording}")
    return number


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


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Gives a temporary folder to write to, which becomes `path` at the end: whole or not at all.

    Args:
      path: not there yet, or an empty folder; the folder around it exists.

    Raises:
      FileExistsError: there is something at `path`, which stays as it is.
      OSError: the folder cannot be written.
    """
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise FileExistsError(errno.EEXIST, "is there already and not an empty folder", str(path))
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}{_SUFFIX}")
    temporary.mkdir()
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
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
