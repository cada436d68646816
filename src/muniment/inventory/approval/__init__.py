"""How a version comes into use: approved by signatures, promoted by digest, and checked each time it is loaded."""
