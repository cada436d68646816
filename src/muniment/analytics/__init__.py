"""Numbers from arrays: profiles, performance, splits. Pure; runs inside the sandbox."""
