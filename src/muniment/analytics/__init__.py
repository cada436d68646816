"""Numbers about data and models: arrays in, frozen results out. Runs inside the sandbox, where numpy and Arrow are."""
