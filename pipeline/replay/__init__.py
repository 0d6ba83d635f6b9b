"""Files of events into `views.raw`, moved to now: the same file twice adds nothing."""
