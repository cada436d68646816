"""What people watch over models with: gates, findings, challenge, reviews, changes, risks, instructions, audits."""
