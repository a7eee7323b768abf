"""Share a distribution of features instead of images."""
