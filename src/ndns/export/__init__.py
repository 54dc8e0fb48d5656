"""Networks in the formats of others: ONNX for float models, netx for lava, NIR where it has the words."""
