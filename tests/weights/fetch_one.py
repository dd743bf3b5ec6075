"""Run by test_interrupted: download one model, saying ``began`` as its first bytes are written.

python fetch_one.py URL SIZE SHA256 FOLDER [LARGEST FILE]
"""

import resource
import sys

from faceid_tunes.faceid_core.weights.errors import WeightsError
from faceid_tunes.faceid_core.weights.fetch import fetch_each
from faceid_tunes.faceid_core.weights.folders import model_folders
from faceid_tunes.faceid_core.weights.manifest import Licence, PublishedFile
from tqdm import tqdm


def say(sentence: str) -> None:
    sys.stdout.write(sentence + "\n")
    sys.stdout.flush()


class SayingBar(tqdm):
    """Says so at the first progress of all."""

    said = False

    def update(self, n=1):
        if not SayingBar.said:
            SayingBar.said = True
            say("began")
        return super().update(n)


url, size, sha256, folder = sys.argv[1:5]
if len(sys.argv) > 5:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[5]), int(sys.argv[5])))
free = Licence("free", "Free for any use.", True)
entry = PublishedFile("m", "model.onnx", "ipadapter", url, "main", free, ("tests",), size=int(size), sha256=sha256)
try:
    fetched = list(fetch_each([entry], model_folders(folder), bar=SayingBar, tell=say))
except WeightsError as error:
    sys.exit(str(error))
say("downloaded" if fetched[0].downloaded else "was there")
