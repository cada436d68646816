"""Public tools for testing against the platform: a fake clock, seeded entropy, fault schedules, conformance suites."""
