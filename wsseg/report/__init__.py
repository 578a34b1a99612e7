"""From rows to a page: tables, figures, and the line that a terminal shows."""
