"""A program for human eyes: colours, what a pass changed, one ONNX node through all stages."""
