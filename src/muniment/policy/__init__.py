"""The action schema, role bundles and decisions, over Cedar."""
