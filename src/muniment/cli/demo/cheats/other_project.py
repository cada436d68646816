"""Tries to read what another project keeps, straight from the disk of this machine."""

import os
from pathlib import Path

content = Path(os.environ["SM_HP_PATH"]).read_bytes()
print(f"stolen_bytes={len(content)}")
