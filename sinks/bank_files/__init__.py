"""Files that tell a bank whom to pay: pure functions of a `BatchFile`, one module per format."""
