"""Storage: block backends and image formats."""
