"""What the scenarios share: the command, the measuring, the machine, the load, plots and the report."""
