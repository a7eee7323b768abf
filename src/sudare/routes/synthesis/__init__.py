"""Images from a generator that is chosen for what its images teach, and the student they taught."""
