"""What all data sets share: the training sample, image pairs, cropping, augmentation and caching."""
