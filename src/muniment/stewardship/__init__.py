"""Who may use which data for what, for how long, and how data are let go of."""
