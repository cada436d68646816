"""Documents set by Typst, with the template and the typefaces that come with the program.

The template is a fixed file; what it shows comes as one JSON text and is only ever shown as text. No package is
fetched, no typeface of the machine is used, and the root folder holds nothing but the template, so the same document
gives the same bytes wherever it is set. The result conforms to PDF/A-2a (ISO 19005-2, tagged) and PDF/UA-1 (ISO
14289-1).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import typst

import muniment.evidence
from muniment.errors import Unavailable

__all__ = ["STANDARDS", "TypstPages"]

STANDARDS: Final[list[typst.PDFStandard]] = ["a-2a", "ua-1"]
TEMPLATES: Final = Path(muniment.evidence.__file__).parent / "typesetting"


class TypstPages:
    """A typesetter that runs in this process."""

    def pdf(self, document: Mapping[str, Any], at: datetime) -> bytes:
        """The document as PDF/A; see the port."""
        content = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        try:
            return typst.compile(
                TEMPLATES / "report.typ",
                root=TEMPLATES,
                format="pdf",
                ignore_system_fonts=True,
                package_path=TEMPLATES / "none",
                package_cache_path=TEMPLATES / "none",
                sys_inputs={"document": content},
                pdf_standards=STANDARDS,
                timestamp=int(at.timestamp()),
            )
        except (typst.TypstError, ValueError) as failed:
            raise Unavailable(
                "MUNI-E511",
                "the pages of the report could not be set",
                reason=str(failed)[:300],
                do="report this: the template must be able to set every document",
            ) from failed
