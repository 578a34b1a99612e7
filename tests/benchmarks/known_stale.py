"""The suites whose committed rows are known to be older than their settings or code.

Delete the line of a suite once it has run again. From then on, its rows are refused when a setting
or the code that decides its results changes, and its README must agree with its rows.
"""

KNOWN_STALE: set[str] = set()
