"""Training rules: pure functions over what a training reports, which say when something looks wrong.

Standard library only, but for ``summary``, which reduces tensors inside the job: so that the platform itself judges,
outside of the job, from what came out of it.
"""
