"""Parts of the chaos benchmark: crash points, a supervisor of campaigns, and the checker."""
