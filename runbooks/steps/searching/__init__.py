"""Looking for the instant at which data went wrong: which copies are asked, in which order, and what lies between."""
