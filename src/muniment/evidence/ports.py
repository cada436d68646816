"""What the evidence room needs from outside: somebody who sets pages."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

__all__ = ["Typesetter"]


class Typesetter(Protocol):
    """Sets a document tree as a PDF; the same tree and moment always give the same bytes."""

    def pdf(self, document: Mapping[str, Any], at: datetime) -> bytes:
        """The document as PDF/A.

        Args:
            document: what ``Document.tree()`` gives: JSON of headings, paragraphs, tables and pictures. Every text in
                it is shown as text and never read as markup.
            at: the creation time that the file states.

        Raises:
            Unavailable: the typesetter cannot set it.
        """
        ...
