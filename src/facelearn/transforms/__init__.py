"""What happens to images and points between the table and the network: preprocessing, augmentation, alignment."""
