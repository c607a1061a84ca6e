"""What an operator does with wrangler, one product a module; each looks at the twin for what was done."""
