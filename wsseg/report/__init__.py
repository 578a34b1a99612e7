"""Pages, tables and figures made from rows."""
