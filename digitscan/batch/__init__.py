"""Many pages: workers prepare, one classifier fills batches."""
