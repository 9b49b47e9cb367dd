"""ONNX frontend, driver, cost report, backend and command line."""
