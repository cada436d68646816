"""Where the keys that wrap keys lie."""
