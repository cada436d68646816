"""Source trees, and what git knows about them."""
