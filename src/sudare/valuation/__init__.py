"""What data are worth: scores of records, contributions of owners, and how to pay them."""
