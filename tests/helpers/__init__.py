"""What the tests share: scenes, workers, calls that are watched, and children that they run."""
