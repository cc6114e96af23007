"""From a checkpoint to one self-contained ``.onnx`` file with a promise inside."""
