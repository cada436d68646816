"""Keys, envelope encryption and sealed, content-addressed objects."""
