"""Images that are shipped with the package."""
