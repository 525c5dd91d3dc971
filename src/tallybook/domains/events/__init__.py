"""Events: the way in, finding them again, and why some are not counted."""
