"""From data to a run that is written and measured, whatever the task."""
