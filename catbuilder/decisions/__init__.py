"""From probabilities to decisions and metrics: calibration, certificates, promotion, evaluation."""
