"""Routes that train one classifier."""
