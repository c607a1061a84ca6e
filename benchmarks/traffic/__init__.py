"""What users see: answers of the edge, one after the other, or many at once while a release goes back."""
