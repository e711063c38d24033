"""Steps from one form of the journal's tables to the next, run when a journal is opened.

A new step is a new file in `versions`, named after its number; one that was released is never
changed. `matlab_ros.lab.journal_format.NEWEST` names the last, `matlab_ros.lab.journal_tables`
describes what it leaves behind.
"""
