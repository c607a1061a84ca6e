"""The services that users reach: what a stack file says of the Worker and of the site. Imports no pulumi."""
