"""Declares only the training part, and then tries to read the holdout beside it."""

import os
from pathlib import Path

declared = Path(os.environ["SM_CHANNEL_TRAIN"])
holdout = declared.parent / "holdout" / "part-00000.parquet"
print(f"declared_files={len(list(declared.iterdir()))}")
print(f"peeked_bytes={len(holdout.read_bytes())}")
