"""A package for each scenario. It offers run(quick), and what the report asks for: see lib/report.py."""
