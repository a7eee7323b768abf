"""Many builds at once: a content-addressed cache and executors over it."""
