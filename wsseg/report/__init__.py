"""Reports of runs and suites: tables, figures and the HTML page."""
