"""From an exported graph to the float IR, operator by operator."""
