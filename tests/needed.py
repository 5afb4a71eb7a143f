"""Programs that production has and a laptop may lack: who lacks one skips, naming the package; in CI it fails.

But for packages that CI was not able to install: it names them, once it has said so itself (`.ci/run`).
"""

import os
import shutil
from pathlib import Path

import pytest

_PLACES = ("/usr/sbin", "/usr/local/sbin")
"""Where Debian keeps servers, which is not on everybody's PATH."""
NOT_TO_BE_HAD = "CI_WITHOUT"


def needed(program: str, package: str) -> Path:
    """The program; otherwise this test ends, naming the Debian package that brings it."""
    found = shutil.which(program, path=os.pathsep.join([os.environ.get("PATH", ""), *_PLACES]))
    if found is not None:
        return Path(found)
    sentence = f"{program} is not here: apt-get install {package}"
    if os.environ.get("CI") and package not in os.environ.get(NOT_TO_BE_HAD, "").split():
        pytest.fail(sentence)
    pytest.skip(sentence)
