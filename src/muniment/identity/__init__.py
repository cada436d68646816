"""People, service accounts, groups, projects and their credentials."""
