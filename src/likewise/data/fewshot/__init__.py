"""Few-shot segmentation: labelled pictures, folds and episodes."""
