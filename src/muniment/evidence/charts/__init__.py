"""Pictures of recorded numbers, as SVG made of plain values: the same values give the same bytes."""
