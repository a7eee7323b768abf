"""What follows from findings: questions, the decision, gates and requirements."""
