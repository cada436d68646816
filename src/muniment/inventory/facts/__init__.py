"""What is known of a model version, as facts with grades, and the rules that judge them."""
