"""A user's own images: read from files, folders, arrays and data sets, checked before any work, and normalized once."""
