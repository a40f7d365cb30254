"""Running trackers on benchmarks, and scoring and reporting what they answer."""
