"""What the operators of the torch column are made with.  Nothing in here is an operator, and nothing is public."""
