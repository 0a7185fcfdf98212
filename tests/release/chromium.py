"""Chromium without a window, steered over a pipe by the DevTools protocol."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any


def find() -> str | None:
    """Where the browser is: in the variable CHROMIUM, else by its usual name; None if nowhere."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium")


class Page:
    """A page on which scripts are evaluated and keys pressed."""

    def __init__(self, requests: IO[bytes], answers: IO[bytes]) -> None:
        self._requests = requests
        self._answers = answers
        self._number = 0
        self._session: dict[str, str] = {}
        self.complaints: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._session = {"sessionId": session}
        for domain in ("Runtime", "Log", "Page"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """One command of the protocol; what the page complains of meanwhile is kept."""
        self._number += 1
        request = {"id": self._number, "method": method, "params": params, **self._session}
        self._requests.write(json.dumps(request).encode() + b"\0")
        while (message := self._next()).get("id") != self._number:
            self._keep(message)
        assert "error" not in message, (method, message)
        return message["result"]

    def open(self, path: Path, part: str = "") -> None:
        """Opens a file, at a part of it such as `#head`, and waits until it is loaded."""
        self.call("Page.navigate", url=path.resolve().as_uri() + part)
        while (message := self._next()).get("method") != "Page.loadEventFired":
            self._keep(message)

    def evaluate(self, script: str) -> Any:
        """The value of an expression, once its promise is kept if it is one."""
        answer = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def resize(self, width: int, height: int) -> None:
        """Gives the page another size, in pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def press(self, key: str) -> None:
        """A key, for what has the focus."""
        codes = {"PageUp": 33, "End": 35, "Home": 36, "ArrowRight": 39, "ArrowDown": 40}
        for kind in ("rawKeyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=codes[key],
            )

    def _next(self) -> dict[str, Any]:
        message = bytearray()
        while (byte := self._answers.read(1)) != b"\0":
            assert byte, "the browser has gone"
            message += byte
        decoded: dict[str, Any] = json.loads(message)
        return decoded

    def _keep(self, message: dict[str, Any]) -> None:
        if message.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
            self.complaints.append(json.dumps(message["params"]))


@contextmanager
def page(browser: str, folder: Path, *, width: int, height: int = 900) -> Iterator[Page]:
    """A page in a browser of its own, which ends with it.

    Args:
      browser: as `find` gives it.
      folder: an empty one, for the browser's profile.
      width: of the window, in pixels.
      height: of the window, in pixels.
    """
    to_browser, requests = os.pipe()
    answers, from_browser = os.pipe()
    command = [
        browser,
        "--headless=new",
        # Containers have no sandbox; what is opened is our own.
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--no-first-run",
        "--remote-debugging-pipe",
        f"--user-data-dir={folder}",
        f"--window-size={width},{height}",
    ]
    # The browser reads from 3 and writes to 4.
    shell = f'exec "$@" 3<&{to_browser} 4>&{from_browser}'
    process = subprocess.Popen(
        ["bash", "-c", shell, "bash", *command],
        pass_fds=(to_browser, from_browser),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(to_browser)
    os.close(from_browser)
    try:
        with os.fdopen(requests, "wb", buffering=0) as write, os.fdopen(answers, "rb") as read:
            opened = Page(write, read)
            opened.resize(width, height)
            yield opened
    finally:
        process.kill()
        process.wait()
