"""Journal to text: documents, plots, templates. Reads what is given to it and writes no system."""
