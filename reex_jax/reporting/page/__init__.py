"""The report: one page that needs no network, with tables, plots and examples."""
